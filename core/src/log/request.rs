//! The request log: one line per answer, in uWSGI's default form or by a template (`log::format`).

use super::format::LogFormat;
use crate::server::{server, worker_id};
use rsgi_plugin_api::abi::WsgiRequest;
use std::cell::RefCell;
use std::io::Write;

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
    if req.log_this != 0 || !log.disable_logging {
        return true;
    }
    let status = req.status;
    (log.log_4xx && (400..500).contains(&status))
        || (log.log_5xx && (500..600).contains(&status))
        || (log.log_slow.is_some_and(|ms| micros(req) >= u64::from(ms) * 1000))
        || (log.log_zero && req.response_size == 0)
        || (log.log_sendfile && req.via == VIA_SENDFILE)
        || (log.log_ioerror && req.read_errors + req.write_errors > 0)
        || (log.log_big.is_some_and(|n| req.response_size as u64 >= n))
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
pub fn clean(out: &mut Vec<u8>, part: &[u8]) {
    for b in part {
        match b {
            0..=31 | 127 => {
                let _ = write!(out, "\\x{b:02x}");
            }
            other => out.push(*other),
        }
    }
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
        super::sink::write_request(line);
    });
}

/// The client's address, or the one it was forwarded for (`--log-x-forwarded-for`).
pub(super) fn address(req: &WsgiRequest) -> &[u8] {
    let forwarded = server().settings.logging.log_x_forwarded_for;
    let forwarded = forwarded.then(|| crate::request::vars::find(req, b"HTTP_X_FORWARDED_FOR"));
    forwarded
        .flatten()
        .unwrap_or(text(req.remote_addr, req.remote_addr_len))
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
    let _ = write!(
        line,
        "[pid: {}|app: {}|req: {worker_requests}/{total}] ",
        crate::server::pid(),
        app_text(req.app_id)
    );
    clean(line, address(req));
    line.extend_from_slice(b" (");
    clean(line, text(req.remote_user, req.remote_user_len));
    // SAFETY: `uh` points at the request's own header record.
    let size = unsafe { std::ptr::addr_of!((*req.uh).pktsize).read_unaligned() };
    let _ = write!(line, ") {{{} vars in {size} bytes}} [", req.var_cnt / 2);
    let date = super::strftime(c"%a %b %d %H:%M:%S %Y", req.start_of_request_in_sec as i64);
    line.extend_from_slice(date.as_bytes());
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
    let _ = write!(
        line,
        " => generated {} bytes in {time} {unit}{via} (",
        req.response_size
    );
    clean(line, text(req.protocol, req.protocol_len));
    let _ = writeln!(
        line,
        " {}) {} headers in {} bytes ({} switches on core {})",
        req.status, req.header_cnt, req.headers_size, req.switches, req.async_id
    );
}

fn app_text(id: i32) -> i32 {
    id.max(-1)
}
