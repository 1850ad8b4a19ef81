//! The option rows of the plugin and the settings they fill; called in the master while the configuration is read.
//! What a row's text says is checked in `settings`; rows for what the gateway cannot do yet say so instead of being unknown.

use std::ffi::{CStr, OsStr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rsgi_plugin_api::{HookError, OptionRow, OptionTable, log};
use rsgi_protocol::forwarded::Dialect;

use crate::settings::{self, Kind, Listen, Settings, SettingsError};

static SETTINGS: Mutex<Option<Settings>> = Mutex::new(None);

/// What the options have said so far.
pub fn settings() -> Settings {
    with(|settings| settings.clone())
}

fn with<T>(f: impl FnOnce(&mut Settings) -> T) -> T {
    let mut guard: MutexGuard<'_, Option<Settings>> = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    f(guard.get_or_insert_with(Settings::default))
}

type Value<'a> = Option<&'a OsStr>;

fn text(value: Value<'_>) -> Result<&str, HookError> {
    let text = value
        .and_then(OsStr::to_str)
        .map(str::trim)
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| HookError::new("a value is needed, in plain text"))
}

fn optional(value: Value<'_>) -> Option<&str> {
    value.and_then(OsStr::to_str)
}

/// Parses a value and stores what it says.
fn store<T>(parsed: Result<T, SettingsError>, put: impl FnOnce(&mut Settings, T)) -> Result<(), HookError> {
    let value = parsed.map_err(|e| HookError::new(e.to_string()))?;
    with(|settings| put(settings, value));
    Ok(())
}

fn modifier(value: Value<'_>) -> Result<Result<u8, SettingsError>, HookError> {
    Ok(settings::number(text(value)?, 0, 255).map(|n| n as u8))
}

fn listen(value: Value<'_>, option: &'static str, kind: Kind) -> Result<(), HookError> {
    let address = text(value)?.to_owned();
    store(Ok(Listen { option, address, kind }), |s, listen| s.listen.push(listen))
}

fn address(value: Value<'_>) -> Result<(), HookError> {
    listen(value, "http", Kind::Plain)
}

fn stats(value: Value<'_>) -> Result<(), HookError> {
    let text = text(value)?;
    // figures are for this machine unless another address is given, as those of --stats
    let address = match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let (option, kind) = ("http-stats", Kind::Stats);
    store(Ok(Listen { option, address, kind }), |s, listen| s.listen.push(listen))
}

fn timeout(value: Value<'_>) -> Result<(), HookError> {
    store(settings::seconds(text(value)?), |s, t| s.timeout = t)
}

fn processes(value: Value<'_>) -> Result<(), HookError> {
    store(settings::number(text(value)?, 1, 1024), |s, n| s.processes = n)
}

/// Always on; the options stay for the configurations that have them.
fn always_on(_: Value<'_>) -> Result<(), HookError> {
    Ok(())
}

/// Known, and not done yet.
fn later(name: &CStr) -> Result<(), HookError> {
    let name = name.to_string_lossy();
    log::line(&format!(
        "http: --{name} is ignored: this version of the http plugin does not act on it"
    ));
    Ok(())
}

macro_rules! ignored {
    ($($kind:ident $name:literal,)*) => { [$(OptionRow::$kind($name, c"accepted, not acted on by this version", |_| later($name))),*] };
}

/// Rows that act.
const ACTIVE: [OptionRow; 42] = [
    OptionRow::value(
        c"http",
        c"take HTTP clients on this address (host:port, :port, a path, [::1]:port); may be repeated",
        address,
    )
    .needs_master(),
    OptionRow::value(c"httprouter", c"another name of http", address).needs_master(),
    OptionRow::value(
        c"http-to",
        c"hand requests to this uwsgi server instead of our workers; several take turns",
        |v| store(Ok(text(v)?.to_owned()), |s, node| s.backends.push(node)),
    ),
    OptionRow::value(
        c"http-fallback",
        c"hand requests to this uwsgi server while none of http-to is there; several take turns",
        |v| store(Ok(text(v)?.to_owned()), |s, node| s.fallback.push(node)),
    ),
    OptionRow::value(
        c"http-to-check",
        c"seconds between two pings of each server of http-to; one that does not answer is passed over (never)",
        |v| store(settings::seconds(text(v)?), |s, t| s.check_every = (!t.is_zero()).then_some(t)),
    ),
    OptionRow::value(
        c"http-subscription-server",
        c"hand requests to the servers that announce themselves here (UDP) for their host: see subscribe-to",
        |v| store(Ok(text(v)?.to_owned()), |s, address| s.announcements = Some(address)),
    ),
    OptionRow::value(
        c"subscription-tolerance",
        c"seconds of silence after which a server that announced itself is forgotten (17)",
        |v| store(settings::seconds(text(v)?), |s, t| s.tolerance = t),
    ),
    OptionRow::value(
        c"http-gracetime",
        c"seconds for which a server of http-to that did not answer is passed over (30)",
        |v| store(settings::seconds(text(v)?), |s, t| s.grace = t),
    ),
    OptionRow::value(
        c"http-stats",
        c"give the figures of the gateways on this address, as JSON",
        stats,
    )
    .needs_master(),
    OptionRow::value(c"http-stats-server", c"another name of http-stats", stats).needs_master(),
    OptionRow::value(c"http-ss", c"another name of http-stats", stats).needs_master(),
    OptionRow::value(c"http-modifier1", c"which request plugin the packets ask for", |v| {
        store(modifier(v)?, |s, n| s.modifiers.0 = n)
    }),
    OptionRow::value(c"http-modifier2", c"what the packets ask of that plugin", |v| {
        store(modifier(v)?, |s, n| s.modifiers.1 = n)
    }),
    OptionRow::optional(
        c"http-keepalive",
        c"keep clients' connections, idle for so many seconds at most (65); 0 closes after each answer",
        |v| store(settings::keep_alive(optional(v)), |s, t| s.keep_alive = t),
    ),
    OptionRow::flag(
        c"no-http-keepalive",
        c"close clients' connections after each answer",
        |_| store(Ok(()), |s, ()| s.keep_alive = None),
    ),
    OptionRow::value(
        c"http-timeout",
        c"seconds without any progress after which a request is given up (60)",
        timeout,
    ),
    OptionRow::value(
        c"http-headers-timeout",
        c"seconds a client has for the head of a request (60)",
        |v| store(settings::seconds(text(v)?), |s, t| s.headers_timeout = t),
    ),
    OptionRow::value(
        c"http-connect-timeout",
        c"seconds for connecting to a backend (5)",
        |v| store(settings::seconds(text(v)?), |s, t| s.connect_timeout = t),
    ),
    OptionRow::value(c"http-processes", c"number of gateway processes (1)", processes),
    OptionRow::value(c"http-workers", c"another name of http-processes", processes),
    OptionRow::value(
        c"http-var",
        c"add a variable KEY=VALUE to every request; may be repeated",
        |v| store(settings::variable(text(v)?), |s, pair| s.vars.push(pair)),
    ),
    OptionRow::optional(
        c"http-manage-expect",
        c"answer 413 instead of 100 Continue to bodies over so many bytes",
        |v| match optional(v).filter(|text| !text.is_empty() && *text != "true") {
            None => Ok(()),
            Some(text) => store(settings::number(text, 0, u64::MAX), |s, n| s.expect_limit = Some(n)),
        },
    ),
    OptionRow::value(
        c"http-server-name-as-http-host",
        c"SERVER_NAME is what the client asked for",
        |v| store(Ok(settings::is_on(optional(v))), |s, on| s.name_from_host = on),
    ),
    OptionRow::value(c"http-quiet", c"do not log failing backends", |v| {
        store(Ok(settings::is_on(optional(v))), |s, on| s.quiet = on)
    }),
    OptionRow::flag(
        c"http-auto-chunked",
        c"always on: answers without a length are sent in chunks",
        always_on,
    ),
    OptionRow::flag(
        c"http-auto-gzip",
        c"compress answers without a length that have the header uWSGI-Encoding: gzip, for clients that take it",
        |_| store(Ok(()), |s, ()| s.auto_gzip = true),
    ),
    OptionRow::flag(
        c"http-raw-body",
        c"always on: bodies of any kind are passed on",
        always_on,
    ),
    OptionRow::flag(
        c"http-chunked-input",
        c"always on: chunked bodies are passed on",
        always_on,
    ),
    OptionRow::flag(
        c"http-websockets",
        c"always on: upgraded connections pass both ways",
        always_on,
    ),
    OptionRow::value(
        c"https",
        c"take HTTPS clients: ADDRESS,CERTIFICATE,KEY[,CIPHERS[,CLIENT-CA]], the files in PEM form; !CLIENT-CA demands a certificate",
        |v| store(settings::https("https", text(v)?), |s, listen| s.listen.push(listen)),
    )
    .needs_master(),
    OptionRow::value(
        c"https-socket",
        c"as https, for packets with modifiers of their own",
        |v| store(settings::https("https-socket", text(v)?), |s, listen| s.listen.push(listen)),
    )
    .needs_master(),
    OptionRow::value(
        c"https-socket-modifier1",
        c"which request plugin serves what comes in by https-socket",
        |v| store(modifier(v)?, |s, n| s.https_socket_modifiers.0 = n),
    ),
    OptionRow::value(
        c"https-socket-modifier2",
        c"what is asked of that plugin",
        |v| store(modifier(v)?, |s, n| s.https_socket_modifiers.1 = n),
    ),
    OptionRow::value(
        c"https2",
        c"the same by names: addr=ADDRESS,cert=FILE,key=FILE[,ciphers=LIST][,clientca=FILE]",
        |v| store(settings::https2(text(v)?), |s, listen| s.listen.push(listen)),
    )
    .needs_master(),
    OptionRow::value(
        c"http-to-https",
        c"on this address, send HTTP clients to the same place under https",
        |v| listen(v, "http-to-https", Kind::Redirect),
    )
    .needs_master(),
    OptionRow::value(
        c"sni",
        c"a certificate for clients that ask for a server name: NAME CERTIFICATE,KEY; *.NAME covers one label",
        |v| store(settings::sni(text(v)?), |s, entry| s.sni.push(entry)),
    ),
    OptionRow::value(
        c"sni-dir",
        c"a folder with NAME.crt and NAME.key for each server name",
        |v| store(Ok(text(v)?.into()), |s, folder| s.sni_folders.push(folder)),
    ),
    OptionRow::flag(
        c"https-export-cert",
        c"requests carry the client's certificate, HTTPS_CC",
        |_| store(Ok(()), |s, ()| s.export_certificate = true),
    ),
    OptionRow::optional(
        c"http-enable-proxy-protocol",
        c"read PROXY headers (versions 1 and 2) of peers that trusted-proxy names, or of all",
        |v| store(Ok(settings::is_on(optional(v))), |s, on| s.proxy_protocol = on),
    ),
    OptionRow::value(
        c"http-trusted-proxies",
        c"peers whose X-Forwarded-For and -Proto are believed: ADDRESS[/BITS],...; of others such headers are dropped",
        |v| {
            let list = settings::networks(text(v)?, with(|s| s.forwarders.clone()));
            store(list, |s, list| s.forwarders = list)
        },
    ),
    OptionRow::flag(
        c"http-forwarded",
        c"trusted proxies write Forwarded (RFC 7239); X-Forwarded-* is dropped",
        |_| store(Ok(()), |s, ()| s.dialect = Dialect::Rfc7239),
    ),
    OptionRow::flag(
        c"no-http2",
        c"speak HTTP/1.1 only",
        |_| store(Ok(()), |s, ()| s.http2 = false),
    ),
];

/// Rows that are only known.
const IGNORED: [OptionRow; 22] = ignored! {
    value c"http-buffer-size",
    value c"http-gid",
    value c"http-uid",
    value c"http-subscription-server",
    value c"http-subscription-fallback-key",
    value c"http-resubscribe",
    flag c"http-backend-http",
    flag c"http-cheap",
    value c"http-events",
    value c"http-harakiri",
    flag c"http-manage-rtsp",
    flag c"http-manage-source",
    value c"http-post-buffering",
    value c"http-post-buffering-dir",
    value c"http-stud-prefix",
    value c"http-use-base",
    optional c"http-use-cache",
    value c"http-use-code-string",
    value c"http-use-pattern",
    optional c"http-use-socket",
    value c"http-zerg",
    value c"https-session-context",
};

const ROWS: usize = ACTIVE.len() + IGNORED.len();

/// All rows.
pub static OPTIONS: OptionTable<{ ROWS + 1 }> = OptionTable::new(&all());

const fn all() -> [OptionRow; ROWS] {
    let mut rows = [ACTIVE[0]; ROWS];
    let mut i = 0;
    while i < ROWS {
        rows[i] = if i < ACTIVE.len() {
            ACTIVE[i]
        } else {
            IGNORED[i - ACTIVE.len()]
        };
        i += 1;
    }
    rows
}
