//! The head of an answer: status and headers as they are added, checked, and what the server itself adds at the end.

use super::{Framing, ResponseError, write};
use crate::decimal::Decimal;
use crate::request::{Core, tracing, vars};
use crate::routing;
use crate::say;
use crate::server::{SocketProtocol, server};
use crate::worker::plugin_protocol;
use rsgi_protocol::octet;

/// Begins an answer: the status line; headers that were added before are dropped.
///
/// # Errors
/// The head has left, or the status is no three digits with a clean text behind.
pub fn start(core: &mut Core, status: &[u8]) -> Result<(), ResponseError> {
    let code = match status {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] if rest.first().is_none_or(|b| *b == b' ') => {
            i32::from(a - b'0') * 100 + i32::from(b - b'0') * 10 + i32::from(c - b'0')
        }
        _ => {
            return Err(ResponseError::Malformed(
                "a status begins with three digits, like \"200 OK\"",
            ));
        }
    };
    if !octet::is_text(status) {
        return Err(ResponseError::Malformed("control character in the status"));
    }
    let response = &mut core.response;
    if response.is_sent() {
        return Err(ResponseError::HeadersSent);
    }
    response.head.clear();
    response.content_length = None;
    response.framed_by_app = false;
    response.close_by_app = false;
    let own = match response.is_of_plugin() {
        true => plugin_protocol::status(core, status).transpose()?,
        false => None,
    };
    let response = &mut core.response;
    if let Some(own) = own {
        response.head = own;
    } else {
        response.head.extend_from_slice(response.before_status());
        response.head.extend_from_slice(status);
        response.head.extend_from_slice(b"\r\n");
    }
    let raw = core.raw();
    raw.status = code;
    raw.header_cnt = 0;
    Ok(())
}

/// An answer without a status is a success.
///
/// # Errors
/// As for [`start`].
pub fn ensure_started(core: &mut Core) -> Result<(), ResponseError> {
    match core.response.head.is_empty() {
        true => start(core, b"200 OK"),
        false => Ok(()),
    }
}

/// Adds a header.
///
/// # Errors
/// The head has left, or name or value would break the message.
pub fn header(core: &mut Core, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
    if core.response.is_sent() {
        return Err(ResponseError::HeadersSent);
    }
    ensure_started(core)?;
    if !octet::is_token(name) {
        return Err(ResponseError::Malformed("bad character in a header's name"));
    }
    if !octet::is_text(value) {
        return Err(ResponseError::Malformed("control character in a header's value"));
    }
    let limit = server().settings.limits.response_headers_limit as usize;
    let response = &mut core.response;
    if limit > 0 && response.head.len() + name.len() + value.len() + 4 > limit {
        return Err(ResponseError::Malformed(
            "the headers of the answer are over response-headers-limit",
        ));
    }
    let over_http = response.is_over_http();
    if name.eq_ignore_ascii_case(b"content-length") {
        let length = rsgi_protocol::http1::parse_length(value.trim_ascii())
            .map_err(|_| ResponseError::Malformed("the Content-Length of the answer is no number"))?;
        response.content_length = Some(length);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        response.framed_by_app = true;
    } else if name.eq_ignore_ascii_case(b"uwsgi-encoding") {
        response.may_be_encoded = response.protocol == Some(SocketProtocol::Link);
    } else if name.eq_ignore_ascii_case(b"connection") && over_http {
        if value.to_ascii_lowercase().windows(5).any(|w| w == b"close") {
            response.close_by_app = true;
        }
        if !value.to_ascii_lowercase().windows(7).any(|w| w == b"upgrade") {
            // ours to say: it is written with the framing
            return Ok(());
        }
        response.close_by_app = true;
    } else if name.eq_ignore_ascii_case(b"keep-alive") && over_http {
        return Ok(());
    }
    let own = match response.is_of_plugin() {
        true => plugin_protocol::header(core, name, value).transpose()?,
        false => None,
    };
    let head = &mut core.response.head;
    if let Some(own) = own {
        head.extend_from_slice(&own);
    } else {
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    core.raw().header_cnt += 1;
    Ok(())
}

/// Decides the framing and completes the head. `whole`: the length of the body when it is known to be all.
pub(super) fn complete_head(core: &mut Core, whole: Option<u64>) -> Result<(), ResponseError> {
    ensure_started(core)?;
    if routing::answer(core) {
        // the rules' own answer stands in place of the application's
        if !core.response.is_sent() {
            write(core, &[], true)?;
        }
        core.response.replaced = true;
        return Ok(());
    }
    if core.routing.changes_head() {
        change_head(core);
    }
    let http = &server().settings.http;
    if !http.rem_headers.is_empty() || !http.collect_headers.is_empty() {
        edit_head(core, &http.rem_headers, &http.collect_headers);
    }
    let status = core.raw().status;
    for header_line in &server().settings.http.add_headers {
        let (name, value) = header_line.split_once(':').unwrap_or((header_line, ""));
        // checked when the options were read
        let _ = header(core, name.trim().as_bytes(), value.trim().as_bytes());
    }
    if server().settings.logging.request_id && !tracing::has_id(&core.response.head) {
        let id = tracing::request_id(core.raw()).to_vec();
        let _ = header(core, b"X-Request-Id", &id);
    }
    let response = &mut core.response;
    let head = &mut response.head;
    if core.routing.are_headers_disabled() {
        head.clear();
        response.framing = Framing::Close;
        response.keep_alive = false;
        core.raw().headers_sent = 1;
        return Ok(());
    }
    let no_body = response.is_head || matches!(status, 100..=199 | 204 | 304);
    let mut framing = match response.content_length {
        _ if no_body => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    let over_http = response.protocol.is_some_and(SocketProtocol::is_http);
    if over_http && response.framed_by_app && !no_body {
        // its chunks cannot be checked, so the connection is not trusted with another request
        framing = Framing::Close;
    } else if over_http && framing == Framing::Close {
        if let Some(length) = whole.filter(|_| !response.may_be_encoded) {
            head.extend_from_slice(b"Content-Length: ");
            head.extend_from_slice(Decimal::new(length).as_bytes());
            head.extend_from_slice(b"\r\n");
            framing = Framing::Length(length);
        } else if !response.is_http10 && !response.ends_by_close {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            framing = Framing::Chunked;
        }
    } else if over_http
        && no_body
        && response.is_head
        && response.content_length.is_none()
        && let Some(length) = whole.filter(|n| *n > 0)
    {
        head.extend_from_slice(b"Content-Length: ");
        head.extend_from_slice(Decimal::new(length).as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    response.keep_alive &= (framing != Framing::Close || response.fastcgi.is_some()) && !response.close_by_app;
    // 101 carries a Connection header of its own
    if over_http && status != 101 {
        match (response.keep_alive, response.is_http10, response.protocol) {
            (false, _, Some(SocketProtocol::Link)) => head.extend_from_slice(b"Connection: close\r\n"),
            (false, false, _) => head.extend_from_slice(b"Connection: close\r\n"),
            (true, true, Some(SocketProtocol::Http)) => head.extend_from_slice(b"Connection: keep-alive\r\n"),
            _ => {}
        }
    }
    response.framing = framing;
    let own = match response.is_of_plugin() {
        true => {
            let head = std::mem::take(&mut response.head);
            let made = plugin_protocol::end_of_head(core, &head).transpose();
            core.response.head = head;
            made?
        }
        false => None,
    };
    let head = &mut core.response.head;
    match own {
        Some(own) => *head = own,
        None => head.extend_from_slice(b"\r\n"),
    }
    let size = head.len();
    let raw = core.raw();
    raw.headers_sent = 1;
    raw.headers_size = size;
    Ok(())
}

/// `--collect-header`, `--pull-header`, `--rem-header`
fn edit_head(core: &mut Core, removed: &[String], collected: &[(String, String)]) {
    filter_head(core, |core, name, value| {
        for (_, variable) in collected
            .iter()
            .filter(|(header, _)| name.eq_ignore_ascii_case(header.as_bytes()))
        {
            vars::append(core, variable.as_bytes(), value);
        }
        !removed
            .iter()
            .any(|header| name.eq_ignore_ascii_case(header.as_bytes()))
    });
}

/// Keeps the header lines that `keep` says, of their name and value.
pub(super) fn filter_head(core: &mut Core, mut keep: impl FnMut(&mut Core, &[u8], &[u8]) -> bool) {
    let head = std::mem::take(&mut core.response.head);
    let mut kept = Vec::with_capacity(head.len());
    for (number, line) in head.split_inclusive(|b| *b == b'\n').enumerate() {
        let at = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default().trim_ascii());
        if number == 0 || keep(core, name, value) {
            kept.extend_from_slice(line);
            continue;
        }
        core.raw().header_cnt -= 1;
        if name.eq_ignore_ascii_case(b"content-length") {
            core.response.content_length = None;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            core.response.framed_by_app = false;
        }
    }
    core.response.head = kept;
}

/// Takes away and adds what the rules of internal routing want changed.
fn change_head(core: &mut Core) {
    filter_head(core, |core, name, _| !core.routing.removes(name));
    for (name, value) in core.routing.take_added() {
        if let Err(e) = header(core, &name, &value) {
            say!("route: header {} was not added: {e}", String::from_utf8_lossy(&name));
        }
    }
}
