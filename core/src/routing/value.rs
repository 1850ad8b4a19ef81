//! What `${kind[key]}` computes: cookies and queries of the request, figures of the server, encodings, times.

use super::template::Compute;
use crate::request::{Core, vars};
use crate::server::{server, worker_id};
use crate::stats::snapshot::queue_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static KINDS: &[(&str, Compute)] = &[
    ("cookie", |core, key, out| pair(core, b"HTTP_COOKIE", b';', key, out)),
    ("qs", |core, key, out| pair(core, b"QUERY_STRING", b'&', key, out)),
    ("mime", |core, key, out| {
        let path = vars::find(core.raw(), key).unwrap_or_default();
        out.extend_from_slice(crate::static_files::mime_type(path).unwrap_or_default().as_bytes());
    }),
    ("base64", |core, key, out| {
        let value = vars::find(core.raw(), key).unwrap_or_default();
        out.extend_from_slice(STANDARD.encode(value).as_bytes());
    }),
    ("hex", |core, key, out| {
        for byte in vars::find(core.raw(), key).unwrap_or_default() {
            let _ = write!(out, "{byte:02x}");
        }
    }),
    ("upper", |core, key, out| {
        out.extend_from_slice(&vars::find(core.raw(), key).unwrap_or_default().to_ascii_uppercase());
    }),
    ("lower", |core, key, out| {
        out.extend_from_slice(&vars::find(core.raw(), key).unwrap_or_default().to_ascii_lowercase());
    }),
    ("time", |_, key, out| time(key, out)),
    ("httptime", |_, key, out| {
        // seconds from now
        let text = std::str::from_utf8(key).unwrap_or_default();
        let ahead: u64 = text.trim().trim_start_matches('+').parse().unwrap_or(0);
        let at = SystemTime::now() + Duration::from_secs(ahead.min(1 << 32));
        out.extend_from_slice(httpdate::fmt_http_date(at).as_bytes());
    }),
    ("uwsgi", figure),
];

/// What computes a kind.
pub fn find(kind: &str) -> Option<Compute> {
    KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, compute)| *compute)
}

/// The kinds, for a message.
pub fn names() -> String {
    KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn pair(core: &mut Core, variable: &[u8], separator: u8, key: &[u8], out: &mut Vec<u8>) {
    let text = vars::find(core.raw(), variable).unwrap_or_default();
    out.extend_from_slice(vars::pair_of(text, separator, key).unwrap_or_default());
}

fn time(key: &[u8], out: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = match key {
        b"unix" => write!(out, "{}", now.as_secs()),
        b"micros" => write!(out, "{}", now.as_micros()),
        // a form of strftime(3)
        form => match std::ffi::CString::new(form) {
            Ok(form) => write!(out, "{}", crate::log::strftime(&form, now.as_secs() as i64)),
            Err(_) => Ok(()),
        },
    };
}

fn figure(core: &mut Core, key: &[u8], out: &mut Vec<u8>) {
    let raw = core.raw();
    let _ = match key {
        b"wid" => write!(out, "{}", worker_id()),
        b"pid" => write!(out, "{}", std::process::id()),
        b"status" => write!(out, "{}", raw.status),
        b"rtime" => write!(out, "{}", crate::exports::micros().saturating_sub(raw.start_of_request)),
        b"rsize" => write!(out, "{}", raw.response_size),
        b"sor" => write!(out, "{}", raw.start_of_request),
        b"lq" => {
            let sockets = &server().sockets;
            write!(out, "{}", sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0))
        }
        b"uuid" => match std::fs::read("/proc/sys/kernel/random/uuid") {
            Ok(uuid) => out.write_all(uuid.trim_ascii()),
            Err(_) => Ok(()),
        },
        _ => Ok(()),
    };
}
