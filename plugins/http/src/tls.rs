//! TLS of the gateway: certificates by listener and by server name, looked at again when their files change. `load` reads
//! files, in the master before privileges are dropped and later in the gateway; `stream` is one client's connection,
//! `subject` the name in a client's certificate.

mod load;
mod stream;
mod subject;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use load::LoadError;
pub use stream::{Certificate, TlsStream};

/// How often the files are looked at, while clients come.
const LOOK: Duration = Duration::from_secs(1);

/// The files of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// What a TLS listener is made of, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Shown to clients that name no server, or none of those below.
    pub default: KeyPair,
    /// OpenSSL's list of ciphers, of which the names that we have count.
    pub ciphers: Option<String>,
    /// Who signs clients' certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Clients without a certificate are refused.
    pub client_must: bool,
    /// Certificates of other server names.
    pub names: Vec<(String, KeyPair)>,
    /// Folders with `NAME.crt` and `NAME.key`.
    pub folders: Vec<PathBuf>,
    /// HTTP/2 is offered.
    pub http2: bool,
}

/// The certificates of a listener by server name.
#[derive(Debug)]
struct Certificates {
    default: Arc<CertifiedKey>,
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = || Some(format!("*.{}", name.split_once('.')?.1));
            self.names
                .get(&name)
                .or_else(|| self.names.get(&parent()?))
                .map(Arc::clone)
        });
        Some(found.unwrap_or_else(|| Arc::clone(&self.default)))
    }
}

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    state: Option<(SystemTime, u64, u64)>,
}

impl Seen {
    fn now(path: PathBuf) -> Self {
        use std::os::unix::fs::MetadataExt;
        let state = std::fs::metadata(&path)
            .and_then(|meta| Ok((meta.modified()?, meta.len(), meta.ino())))
            .ok();
        Self { path, state }
    }

    fn has_changed(&self) -> bool {
        Self::now(self.path.clone()) != *self
    }
}

/// A listener's TLS as it is in force.
#[derive(Clone, Debug)]
pub struct Context {
    plan: Plan,
    config: Arc<ServerConfig>,
    seen: Vec<Seen>,
    looked: Option<Instant>,
}

impl Context {
    /// Reads all files of a plan; also what the operator should know about the ciphers.
    pub fn load(plan: Plan) -> Result<(Self, Option<String>), LoadError> {
        let loaded = load::config(&plan)?;
        let context = Self {
            plan,
            config: loaded.config,
            seen: loaded.seen,
            looked: None,
        };
        Ok((context, loaded.remark))
    }

    /// What a new connection uses. Files that have changed are read first; while they make no sense, what was there
    /// before stays in force, and `log` hears why.
    pub fn current(&mut self, now: Instant, log: fn(&str)) -> Arc<ServerConfig> {
        if self.looked.is_none_or(|at| now.duration_since(at) >= LOOK) {
            self.looked = Some(now);
            if self.seen.iter().any(Seen::has_changed) {
                self.renew(log);
            }
        }
        Arc::clone(&self.config)
    }

    fn renew(&mut self, log: fn(&str)) {
        match load::config(&self.plan) {
            Ok(loaded) => {
                (self.config, self.seen) = (loaded.config, loaded.seen);
                log(&format!(
                    "https: {} was read again",
                    self.plan.default.certificate.display()
                ));
            }
            Err(e) => {
                // said once for each state of the files
                self.seen = self.seen.iter().map(|seen| Seen::now(seen.path.clone())).collect();
                log(&format!("https: {e}; the certificates in use stay"));
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
