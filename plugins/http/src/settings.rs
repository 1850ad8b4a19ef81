//! What the `http-*` options say, collected while the master reads its configuration, checked before the gateways start.
//! Pure data; the option rows are in `options`, the running gateway gets a `gateway::Config` made from this.

use std::path::PathBuf;
use std::time::Duration;

use rsgi_protocol::allow::{AllowError, AllowList};
use rsgi_protocol::forwarded::Dialect;

use crate::tls::{KeyPair, Plan};

/// Why an option's value is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a number in its range.
    #[error("{0:?} is not a number from {1} to {2}")]
    Number(String, u64, u64),
    /// No `KEY=VALUE`.
    #[error("{0:?} is not of the form KEY=VALUE")]
    Variable(String),
    /// Not what `https` takes.
    #[error("{0:?}: give ADDRESS,CERTIFICATE,KEY[,CIPHERS[,CLIENT-CA]]")]
    Https(String),
    /// Not what `https2` takes.
    #[error("{0:?}: {1}; give addr=ADDRESS,cert=FILE,key=FILE and perhaps ciphers=LIST,clientca=FILE")]
    Https2(String, String),
    /// Not what `sni` takes.
    #[error("{0:?}: give \"NAME CERTIFICATE,KEY\"; ciphers and client authorities are those of https")]
    Sni(String),
    /// No list of networks.
    #[error(transparent)]
    Networks(#[from] AllowError),
}

/// What a listening socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP.
    Plain,
    /// HTTP over TLS.
    Tls(Plan),
    /// Sends clients to HTTPS.
    Redirect,
    /// Gives figures.
    Stats,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The option that asked for it.
    pub option: &'static str,
    /// Where, as written.
    pub address: String,
    /// What for.
    pub kind: Kind,
}

/// Everything the options can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Certificates by server name, for all TLS sockets.
    pub sni: Vec<(String, KeyPair)>,
    /// Folders of such.
    pub sni_folders: Vec<PathBuf>,
    /// Applications get clients' certificates whole.
    pub export_certificate: bool,
    /// HTTP/2 is spoken.
    pub http2: bool,
    /// Balancers say who their clients are.
    pub proxy_protocol: bool,
    /// Backends of `http-to`, as written; without any, the workers of this server.
    pub backends: Vec<String>,
    /// Those of `http-fallback`, for when none of these is there.
    pub fallback: Vec<String>,
    /// How long a backend that failed is passed over.
    pub grace: Duration,
    /// Modifiers of the packets.
    pub modifiers: (u8, u8),
    /// The same for what comes in by `https-socket`.
    pub https_socket_modifiers: (u8, u8),
    /// How long a kept connection may be idle; `None`: connections are not kept.
    pub keep_alive: Option<Duration>,
    /// How long neither side may be silent while a request is served.
    pub timeout: Duration,
    /// How long a request head may take.
    pub headers_timeout: Duration,
    /// How long connecting to a backend may take.
    pub connect_timeout: Duration,
    /// Gateway processes.
    pub processes: u64,
    /// Variables added to every request.
    pub vars: Vec<(String, String)>,
    /// Announced bodies beyond this get 413 instead of 100 (`http-manage-expect`).
    pub expect_limit: Option<u64>,
    /// SERVER_NAME is the Host.
    pub name_from_host: bool,
    /// Answers are compressed whose applications ask for it.
    pub auto_gzip: bool,
    /// Proxies whose word about their clients counts.
    pub forwarders: AllowList,
    /// In which headers they give it.
    pub dialect: Dialect,
    /// Failed backends are not logged.
    pub quiet: bool,
    /// How often the servers of `http-to` are asked whether they are there; `None`: never.
    pub check_every: Option<Duration>,
    /// Where servers announce themselves for a host (`http-subscription-server`).
    pub announcements: Option<String>,
    /// How long one that is silent is believed in.
    pub tolerance: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            sni: Vec::new(),
            sni_folders: Vec::new(),
            export_certificate: false,
            http2: true,
            proxy_protocol: false,
            backends: Vec::new(),
            fallback: Vec::new(),
            grace: Duration::from_secs(30),
            modifiers: (0, 0),
            https_socket_modifiers: (0, 0),
            keep_alive: Some(Duration::from_secs(65)),
            timeout: Duration::from_secs(60),
            headers_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            processes: 1,
            vars: Vec::new(),
            expect_limit: None,
            name_from_host: false,
            auto_gzip: false,
            forwarders: AllowList::default(),
            dialect: Dialect::default(),
            quiet: false,
            check_every: None,
            announcements: None,
            tolerance: Duration::from_secs(17),
        }
    }
}

impl Settings {
    /// What a TLS listener is made of, with what holds for all of them.
    pub fn plan(&self, own: &Plan) -> Plan {
        Plan {
            names: self.sni.clone(),
            folders: self.sni_folders.clone(),
            http2: self.http2,
            ..own.clone()
        }
    }
}

/// `!FILE`: clients must have a certificate of that authority; `FILE`: they may.
fn client_ca(plan: &mut Plan, text: &str) {
    plan.client_must = text.starts_with('!');
    plan.client_ca = Some(text.trim_start_matches('!').into());
}

/// `ADDRESS,CERTIFICATE,KEY[,CIPHERS[,CLIENT-CA]]` of `https` and `https-socket`.
pub fn https(option: &'static str, text: &str) -> Result<Listen, SettingsError> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (&[address, certificate, key], more) = parts
        .split_first_chunk::<3>()
        .filter(|(first, more)| first.iter().all(|part| !part.is_empty()) && more.len() <= 2)
        .ok_or_else(|| SettingsError::Https(text.to_owned()))?;
    let mut plan = Plan {
        default: KeyPair {
            certificate: certificate.into(),
            key: key.into(),
        },
        ciphers: more
            .first()
            .filter(|list| !list.is_empty())
            .map(|list| list.to_string()),
        ..Plan::default()
    };
    if let Some(authority) = more.get(1).filter(|file| !file.is_empty()) {
        client_ca(&mut plan, authority);
    }
    Ok(Listen {
        option,
        address: address.to_owned(),
        kind: Kind::Tls(plan),
    })
}

/// `addr=...,cert=...,key=...` of `https2`.
pub fn https2(text: &str) -> Result<Listen, SettingsError> {
    let wrong = |why: String| SettingsError::Https2(text.to_owned(), why);
    let (mut address, mut plan) = ("", Plan::default());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| wrong(format!("\"{part}\" has no value")))?;
        match key {
            "addr" | "address" => address = value,
            "cert" | "crt" => plan.default.certificate = value.into(),
            "key" => plan.default.key = value.into(),
            "ciphers" => plan.ciphers = Some(value.to_owned()),
            "clientca" | "client_ca" => client_ca(&mut plan, value),
            // of a protocol that is no more, and of sessions that are kept anyway
            "spdy" | "session_context" => {}
            other => return Err(wrong(format!("unknown key \"{other}\""))),
        }
    }
    for (name, is_missing) in [
        ("addr", address.is_empty()),
        ("cert", plan.default.certificate.as_os_str().is_empty()),
        ("key", plan.default.key.as_os_str().is_empty()),
    ] {
        if is_missing {
            return Err(wrong(format!("no {name}")));
        }
    }
    Ok(Listen {
        option: "https2",
        address: address.to_owned(),
        kind: Kind::Tls(plan),
    })
}

/// `NAME CERTIFICATE,KEY` of `sni`.
pub fn sni(text: &str) -> Result<(String, KeyPair), SettingsError> {
    let parsed = text.trim().split_once([' ', '\t']).and_then(|(name, files)| {
        let (certificate, key) = files.trim().split_once(',')?;
        (!certificate.is_empty() && !key.is_empty() && !key.contains(',')).then(|| {
            let pair = KeyPair {
                certificate: certificate.into(),
                key: key.into(),
            };
            (name.to_owned(), pair)
        })
    });
    parsed.ok_or_else(|| SettingsError::Sni(text.to_owned()))
}

/// A number of an option, within its range.
pub fn number(text: &str, least: u64, most: u64) -> Result<u64, SettingsError> {
    let parsed = text.trim().parse().ok().filter(|n| (least..=most).contains(n));
    parsed.ok_or_else(|| SettingsError::Number(text.to_owned(), least, most))
}

/// Seconds of an option, from one to a year.
pub fn seconds(text: &str) -> Result<Duration, SettingsError> {
    number(text, 1, 365 * 86400).map(Duration::from_secs)
}

/// `KEY=VALUE` of `http-var`.
pub fn variable(text: &str) -> Result<(String, String), SettingsError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(SettingsError::Variable(text.to_owned())),
    }
}

/// `http-keepalive[=SECONDS]`: zero turns it off, no value leaves the default.
pub fn keep_alive(text: Option<&str>) -> Result<Option<Duration>, SettingsError> {
    match text.map(str::trim) {
        None | Some("") | Some("1" | "true" | "yes" | "on") => Ok(Settings::default().keep_alive),
        Some("0" | "false" | "no" | "off") => Ok(None),
        Some(text) => seconds(text).map(Some),
    }
}

/// `ADDRESS[/BITS],...` of `http-trusted-proxies`, behind what was named before.
pub fn networks(text: &str, mut list: AllowList) -> Result<AllowList, SettingsError> {
    list.add(text)?;
    Ok(list)
}

/// Whether a flag with a value means yes.
pub fn is_on(text: Option<&str>) -> bool {
    !matches!(text.map(str::trim), Some("0" | "false" | "no" | "off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(number(" 7 ", 0, 255), Ok(7));
        for bad in ["256", "-1", "x", ""] {
            assert!(number(bad, 0, 255).is_err(), "{bad}");
        }
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert!(seconds("0").is_err());
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert!(variable("=b").is_err() && variable("A").is_err());
        assert_eq!(keep_alive(None), Ok(Some(Duration::from_secs(65))));
        assert_eq!(keep_alive(Some("2")), Ok(Some(Duration::from_secs(2))));
        assert_eq!(keep_alive(Some("0")), Ok(None));
        assert!(keep_alive(Some("soon")).is_err());
        assert!(https("https", "a:1,c,k").is_ok() && https("https", ":1,c,k,HIGH,!ca.pem").is_ok());
        for bad in ["a:1", "a:1,c", "a:1,c,", ",c,k", "a,c,k,HIGH,ca,more"] {
            assert!(https("https", bad).is_err(), "{bad}");
        }
        let short = https("https", ":1,c,k,,!ca.pem").map(|listen| listen.kind);
        let long = https2("addr=:1,cert=c,key=k,clientca=!ca.pem,spdy=1").map(|listen| listen.kind);
        assert_eq!(short, long);
        assert!(matches!(long, Ok(Kind::Tls(Plan { client_must: true, .. }))));
        for bad in [
            "addr=:1,cert=c",
            "addr=:1,cert=c,key=k,colour=red",
            "addr",
            "cert=c,key=k",
        ] {
            assert!(https2(bad).is_err(), "{bad}");
        }
        assert!(sni("a.example c.crt,c.key").is_ok());
        for bad in [
            "a.example",
            "a.example c.crt",
            "a.example c.crt,c.key,HIGH",
            "c.crt,c.key",
        ] {
            assert!(sni(bad).is_err(), "{bad}");
        }
        assert!(is_on(None) && is_on(Some("true")) && !is_on(Some("0")));
    }
}
