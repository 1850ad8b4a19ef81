//! A TLS session over a connection that may come back: a new session each time.

use rsgi_plugin_api::logger::Connection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};
use rustls_pki_types::pem::PemObject;
use std::io::{self, Write};
use std::sync::Arc;

/// Where systems keep the certificates that they trust.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The way to a server.
pub struct Tls {
    connection: Connection,
    config: Arc<ClientConfig>,
    session: Option<ClientConnection>,
    name: ServerName<'static>,
}

fn roots(ca_file: Option<&str>) -> Result<RootCertStore, String> {
    let path = match ca_file {
        Some(path) => path,
        None => SYSTEM
            .into_iter()
            .find(|path| std::path::Path::new(path).is_file())
            .ok_or("the system has no file of trusted certificates: give tls://HOST:PORT,NAME,CAFILE")?,
    };
    let wrong = |e: &dyn std::fmt::Display| format!("{path}: {e}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
        let added = roots.add(certificate.map_err(|e| wrong(&e))?);
        // in the system's file one of many may be odd
        if ca_file.is_some() {
            added.map_err(|e| wrong(&e))?;
        }
    }
    match roots.is_empty() {
        true => Err(wrong(&"no certificate in it")),
        false => Ok(roots),
    }
}

impl Tls {
    /// To a server whose certificate is checked against a file of authorities, or those of the system.
    ///
    /// # Errors
    /// The file or the name is wrong; one line.
    pub fn new(connection: Connection, ca_file: Option<&str>) -> Result<Self, String> {
        let name = ServerName::try_from(connection.host().to_owned()).map_err(|e| e.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots(ca_file)?)
            .with_no_client_auth();
        Ok(Self {
            connection,
            config: Arc::new(config),
            session: None,
            name,
        })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The connection or the handshake failed; the next call begins anew.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (config, name, session) = (&self.config, &self.name, &mut self.session);
        let written = self.connection.with(|stream, is_new| {
            let session = match session {
                Some(session) if !is_new => {
                    drain(session, stream)?;
                    session
                }
                place => place.insert(ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?),
            };
            let mut tls = Stream::new(session, stream);
            tls.write_all(bytes)?;
            tls.flush()?;
            Ok(())
        });
        if written.is_err() {
            self.session = None;
        }
        written
    }
}

/// Reads what the server has sent unasked, without waiting: tickets, or its end.
fn drain(session: &mut ClientConnection, stream: &mut std::net::TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let read = loop {
        match session.read_tls(stream) {
            Ok(0) => break Err(io::ErrorKind::ConnectionReset.into()),
            Ok(_) => match session.process_new_packets() {
                Ok(_) => {}
                Err(e) => break Err(io::Error::other(e)),
            },
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(()),
            Err(e) => break Err(e),
        }
    };
    stream.set_nonblocking(false)?;
    read
}
