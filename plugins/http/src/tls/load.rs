//! Reading certificates, keys and authorities: in the master at the start, and in the gateway when a file has changed.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::{Certificates, KeyPair, Plan, Seen};

/// Why TLS cannot be set up; names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read, or there is nothing of the kind in it.
    #[error("{}: {why}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Certificate and key do not go together.
    #[error("{} does not belong to the certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        certificate: PathBuf,
    },
    /// Something that rustls refuses.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

fn file(path: &Path, why: impl Into<String>) -> LoadError {
    LoadError::File {
        path: path.to_owned(),
        why: why.into(),
    }
}

fn pem_error(path: &Path, error: &pem::Error, wanted: &str) -> LoadError {
    match error {
        pem::Error::Io(e) => {
            let text = e.to_string();
            let why = text.split(" (os error").next().unwrap_or(&text);
            let fix = match e.kind() {
                ErrorKind::PermissionDenied => {
                    "the server's user (uid) must be able to read it, also for reloads".into()
                }
                _ => format!("name a file with the {wanted} in PEM form"),
            };
            file(path, format!("{why}: {fix}"))
        }
        pem::Error::NoItemsFound => file(path, format!("no {wanted} in PEM form there")),
        e => file(path, format!("broken PEM: {e}")),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let read = |e| pem_error(path, &e, "certificate");
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    match all.map_err(read)? {
        none if none.is_empty() => Err(file(path, "no certificate in PEM form there")),
        all => Ok(all),
    }
}

fn key_pair(pair: &KeyPair, provider: &CryptoProvider, seen: &mut Vec<Seen>) -> Result<Arc<CertifiedKey>, LoadError> {
    // before they are read: a change in between is seen at the next look
    seen.extend([&pair.certificate, &pair.key].map(|path| Seen::now(path.clone())));
    let chain = certificates(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)
        .map_err(|e| pem_error(&pair.key, &e, "private key (one without a passphrase)"))?;
    let made = CertifiedKey::from_der(chain, key, provider);
    made.map(Arc::new).map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => LoadError::Mismatch {
            key: pair.key.clone(),
            certificate: pair.certificate.clone(),
        },
        rustls::Error::InvalidCertificate(e) => file(&pair.certificate, format!("unusable certificate: {e}")),
        e => file(&pair.key, format!("unusable key: {e}")),
    })
}

/// The certificates that a folder has, by name.
fn folder(path: &Path, seen: &mut Vec<Seen>) -> Result<Vec<(String, KeyPair)>, LoadError> {
    seen.push(Seen::now(path.to_owned()));
    let entries = std::fs::read_dir(path).map_err(|e| file(path, e.to_string()))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let certificate = entry.path();
        let name = certificate
            .file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned);
        if let Some(name) = name.filter(|_| certificate.extension().is_some_and(|e| e == "crt")) {
            let key = certificate.with_extension("key");
            found.push((name, KeyPair { certificate, key }));
        }
    }
    Ok(found)
}

/// The suites of an OpenSSL list of ciphers that we have; a remark when it names none of them.
fn suites(provider: &mut CryptoProvider, ciphers: &str) -> Option<String> {
    let openssl = |suite: &rustls::SupportedCipherSuite| {
        // TLS13_AES_256_GCM_SHA384 is TLS_AES_256_GCM_SHA384 there, TLS_ECDHE_RSA_WITH_AES_... ECDHE-RSA-AES...
        let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        let old = name.trim_start_matches("TLS_").replace("_WITH", "").replace('_', "-");
        let old = old.replace("AES-128", "AES128").replace("AES-256", "AES256");
        [name, old.replace("-POLY1305-SHA256", "-POLY1305")]
    };
    let named: Vec<&str> = ciphers.split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    let known = provider.cipher_suites.iter().copied();
    let chosen: Vec<_> = known
        .filter(|suite| openssl(suite).iter().any(|name| named.contains(&name.as_str())))
        .collect();
    if chosen.is_empty() {
        return Some(format!(
            "https: the ciphers \"{ciphers}\" name none that this server knows one by one; its own are used, all with \
             forward secrecy and authenticated encryption"
        ));
    }
    provider.cipher_suites = chosen;
    None
}

/// What came of a plan.
pub(super) struct Loaded {
    pub config: Arc<ServerConfig>,
    /// The state of its files.
    pub seen: Vec<Seen>,
    /// About its ciphers.
    pub remark: Option<String>,
}

/// Reads all of a plan.
pub(super) fn config(plan: &Plan) -> Result<Loaded, LoadError> {
    let mut provider = ring::default_provider();
    let remark = plan.ciphers.as_ref().and_then(|list| suites(&mut provider, list));
    let provider = Arc::new(provider);
    let mut seen = Vec::new();
    let default = key_pair(&plan.default, &provider, &mut seen)?;
    let mut names = HashMap::new();
    for path in &plan.folders {
        for (name, pair) in folder(path, &mut seen)? {
            names.insert(name.to_ascii_lowercase(), key_pair(&pair, &provider, &mut seen)?);
        }
    }
    for (name, pair) in &plan.names {
        names.insert(name.to_ascii_lowercase(), key_pair(pair, &provider, &mut seen)?);
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &plan.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            seen.push(Seen::now(path.clone()));
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots
                    .add(authority)
                    .map_err(|e| file(path, format!("unusable authority: {e}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match plan.client_must {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| file(path, e.to_string()))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Certificates { default, names }));
    config.alpn_protocols = match plan.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(Loaded {
        config: Arc::new(config),
        seen,
        remark,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ciphers() {
        let with = |list: &str| {
            let mut provider = ring::default_provider();
            let remark = suites(&mut provider, list);
            (provider.cipher_suites.len(), remark.is_some())
        };
        let all = ring::default_provider().cipher_suites.len();
        assert_eq!(with("HIGH:!aNULL"), (all, true));
        assert_eq!(with("ECDHE-RSA-AES128-GCM-SHA256"), (1, false));
        assert_eq!(
            with("ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_256_GCM_SHA384:AES128-SHA"),
            (2, false)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let plan = Plan {
            default: KeyPair {
                certificate: "/nonexistent/a.crt".into(),
                key: "/nonexistent/a.key".into(),
            },
            ..Plan::default()
        };
        let said = config(&plan).map(drop).expect_err("no file").to_string();
        assert!(said.starts_with("/nonexistent/a.crt: No such file"), "{said}");
    }
}
