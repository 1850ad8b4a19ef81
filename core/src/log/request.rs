//! The request log: one line per answer, in uWSGI's default form or by a template (`log::format`).

use super::format::LogFormat;
use crate::decimal::Decimal;
use crate::server::{server, worker_id};
use pcre2::bytes::Regex;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_protocol::allow::AllowList;
use std::cell::RefCell;
use std::io::Write;
use std::sync::OnceLock;

/// `via` of an answer that the kernel sent from a file.
const VIA_SENDFILE: u16 = 1;

thread_local! {
    static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(512));
}

/// Whether this answer is to be logged (`--disable-logging`, `--log-4xx` ...).
pub fn wanted(req: &WsgiRequest) -> bool {
    let log = &server().settings.logging;
    if req.do_not_log != 0 {
        return false;
    }
    let status = req.status;
    if req.log_this == 0 && status < 400 && is_excepted(&log.log_except, req) {
        return false;
    }
    if req.log_this != 0 || !log.disable_logging {
        return true;
    }
    (log.log_4xx && (400..500).contains(&status))
        || (log.log_5xx && (500..600).contains(&status))
        || (log.log_slow.is_some_and(|ms| micros(req) >= u64::from(ms) * 1000))
        || (log.log_zero && req.response_size == 0)
        || (log.log_sendfile && req.via == VIA_SENDFILE)
        || (log.log_ioerror && req.read_errors + req.write_errors > 0)
        || (log.log_big.is_some_and(|n| req.response_size as u64 >= n))
}

/// Whether the path is one of `--log-except`: probes that are no news while they succeed.
fn is_excepted(patterns: &[String], req: &WsgiRequest) -> bool {
    static EXCEPT: OnceLock<Vec<Regex>> = OnceLock::new();
    if patterns.is_empty() {
        return false;
    }
    // looked at when the option was read
    let all = EXCEPT.get_or_init(|| patterns.iter().filter_map(|text| Regex::new(text).ok()).collect());
    let path = text(req.path_info, req.path_info_len);
    all.iter().any(|pattern| pattern.is_match(path).unwrap_or(false))
}

/// How long the request took.
pub(super) fn micros(req: &WsgiRequest) -> u64 {
    req.end_of_request.saturating_sub(req.start_of_request)
}

/// A text of the request.
pub fn text<'a>(place: *const std::ffi::c_char, len: u16) -> &'a [u8] {
    if place.is_null() || len == 0 {
        return b"";
    }
    // SAFETY: the request's fields are kept in step with their lengths while it lives.
    unsafe { std::slice::from_raw_parts(place.cast(), usize::from(len)) }
}

/// Control characters of a client's text never reach the log raw: a request cannot forge a line.
pub fn clean(out: &mut Vec<u8>, mut part: &[u8]) {
    while let Some(at) = part.iter().position(u8::is_ascii_control) {
        out.extend_from_slice(&part[..at]);
        let _ = write!(out, "\\x{:02x}", part[at]);
        part = &part[at + 1..];
    }
    out.extend_from_slice(part);
}

/// Writes the line of a finished request.
pub fn write_line(req: &mut WsgiRequest) {
    if req.end_of_request == 0 {
        req.end_of_request = crate::exports::micros();
    }
    LINE.with_borrow_mut(|line| {
        line.clear();
        match LogFormat::configured() {
            Some(format) => format.fill(line, req),
            None => default_line(line, req, server().settings.logging.log_micros),
        }
        // the date of --log-date is for the server's own messages: this line has its own
        super::batch::push(line, micros(req));
    });
}

/// The client's address, or the one it was forwarded for (`--log-x-forwarded-for`).
pub(super) fn address(req: &WsgiRequest) -> &[u8] {
    let settings = &server().settings;
    let peer = text(req.remote_addr, req.remote_addr_len);
    if !settings.logging.log_x_forwarded_for {
        return peer;
    }
    let forwarded = crate::request::vars::find(req, b"HTTP_X_FORWARDED_FOR");
    forwarded.map_or(peer, |list| {
        forwarded_for(&settings.sockets.trusted_proxies, peer, list)
    })
}

/// The client in a list of forwarded addresses. With `--trusted-proxy` only what such a proxy says counts: the last address
/// that is none of theirs; without, the list as it came.
fn forwarded_for<'a>(trusted: &AllowList, peer: &'a [u8], list: &'a [u8]) -> &'a [u8] {
    let is_trusted = |address: &[u8]| std::str::from_utf8(address).is_ok_and(|a| trusted.names(a));
    if trusted.is_empty() {
        return list;
    }
    if !peer.is_empty() && !is_trusted(peer) {
        return peer;
    }
    let mut addresses = list
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|a| !a.is_empty());
    let first = addresses.clone().next();
    let client = addresses.rfind(|address| !is_trusted(address));
    client.or(first).unwrap_or(peer)
}

fn default_line(line: &mut Vec<u8>, req: &WsgiRequest, in_micros: bool) {
    if server().settings.limits.memory_report
        && let Some((rss, vsz)) = crate::process::memory(std::process::id())
    {
        let _ = write!(
            line,
            "{{address space usage: {vsz} bytes/{}MB}} {{rss usage: {rss} bytes/{}MB}} ",
            vsz >> 20,
            rss >> 20
        );
    }
    let shared = &server().shared;
    let id = worker_id();
    // SAFETY: the records live as long as the process; the figures are only informative.
    let (worker_requests, total) = unsafe {
        let total: u64 = (0..=shared.worker_count()).map(|w| (*shared.worker(w)).requests).sum();
        ((*shared.worker(id)).requests, total)
    };
    let number = |line: &mut Vec<u8>, n: u64| line.extend_from_slice(Decimal::new(n).as_bytes());
    line.extend_from_slice(b"[pid: ");
    number(line, crate::server::pid().unsigned_abs().into());
    line.extend_from_slice(b"|app: ");
    match u64::try_from(req.app_id) {
        Ok(app) => number(line, app),
        Err(_) => line.extend_from_slice(b"-1"),
    }
    line.extend_from_slice(b"|req: ");
    number(line, worker_requests);
    line.push(b'/');
    number(line, total);
    line.extend_from_slice(b"] ");
    clean(line, address(req));
    line.extend_from_slice(b" (");
    clean(line, text(req.remote_user, req.remote_user_len));
    // SAFETY: `uh` points at the request's own header record.
    let size = unsafe { std::ptr::addr_of!((*req.uh).pktsize).read_unaligned() };
    line.extend_from_slice(b") {");
    number(line, (req.var_cnt / 2).into());
    line.extend_from_slice(b" vars in ");
    number(line, size.into());
    line.extend_from_slice(b" bytes} [");
    super::date(line, c"%a %b %d %H:%M:%S %Y", req.start_of_request_in_sec as i64);
    line.extend_from_slice(b"] ");
    clean(line, text(req.method, req.method_len));
    line.push(b' ');
    clean(line, text(req.uri, req.uri_len));
    let (time, unit) = if in_micros {
        (micros(req), "micros")
    } else {
        (micros(req) / 1000, "msecs")
    };
    let via = match req.via {
        VIA_SENDFILE => " via sendfile()",
        2 => " via route()",
        3 => " via offload()",
        _ => "",
    };
    line.extend_from_slice(b" => generated ");
    number(line, req.response_size as u64);
    line.extend_from_slice(b" bytes in ");
    number(line, time);
    line.push(b' ');
    line.extend_from_slice(unit.as_bytes());
    line.extend_from_slice(via.as_bytes());
    line.extend_from_slice(b" (");
    clean(line, text(req.protocol, req.protocol_len));
    line.push(b' ');
    number(line, req.status.unsigned_abs().into());
    line.extend_from_slice(b") ");
    number(line, req.header_cnt);
    line.extend_from_slice(b" headers in ");
    number(line, req.headers_size as u64);
    line.extend_from_slice(b" bytes (");
    number(line, req.switches.unsigned_abs().into());
    line.extend_from_slice(b" switches on core ");
    number(line, req.async_id.unsigned_abs().into());
    line.extend_from_slice(b")\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_in_letters() {
        let mut out = Vec::new();
        clean(&mut out, b"\na\xff\"\x7f\0b\t");
        assert_eq!(out, b"\\x0aa\xff\"\\x7f\\x00b\\x09");
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let mut trusted = AllowList::default();
        let ask = |trusted: &AllowList, peer: &str, list: &str| {
            String::from_utf8(forwarded_for(trusted, peer.as_bytes(), list.as_bytes()).to_vec()).unwrap()
        };
        assert_eq!(ask(&trusted, "1.1.1.1", "9.9.9.9, x"), "9.9.9.9, x");
        trusted.add("10.0.0.0/8").unwrap();
        for (peer, list, client) in [
            ("1.1.1.1", "9.9.9.9", "1.1.1.1"),
            ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
            ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", " , ", "10.0.0.1"),
            ("", "9.9.9.9", "9.9.9.9"),
        ] {
            assert_eq!(ask(&trusted, peer, list), client, "{peer} {list}");
        }
    }
}
