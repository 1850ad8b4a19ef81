//! The answer, written by a plugin.

use super::bytes;
use crate::request::response::{self, ResponseError};
use crate::request::{Core, place};
use crate::worker::serve::say_unless_gone;
use libc::iovec;
use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{c_char, c_int};
use std::time::{Duration, UNIX_EPOCH};

/// 0, or −1 with the reason in the log.
fn result(outcome: Result<(), ResponseError>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(e) => {
            say_unless_gone(&e);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_prepare_headers(req: *mut WsgiRequest, status: *mut c_char, len: u16) -> c_int {
    // SAFETY: the header asks for a request of ours and a text with its length.
    let (core, status) = unsafe { (Core::of(req), bytes(status, len)) };
    match number_alone(status) {
        Some(number) => result(response::start(core, with_reason(number).as_bytes())),
        None => result(response::start(core, status)),
    }
}

/// A status without a reason: three digits.
fn number_alone(status: &[u8]) -> Option<u16> {
    let digits = status.trim_ascii();
    let is_number = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

fn with_reason(status: u16) -> String {
    format!("{status} {}", rsgi_protocol::http1::reason(status))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_prepare_headers_int(req: *mut WsgiRequest, status: c_int) -> c_int {
    let status = with_reason(u16::try_from(status).unwrap_or(500));
    // SAFETY: the header asks for a request of ours.
    unsafe { result(response::start(Core::of(req), status.as_bytes())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_add_header(
    req: *mut WsgiRequest,
    name: *mut c_char,
    name_len: u16,
    value: *mut c_char,
    value_len: u16,
) -> c_int {
    // SAFETY: the header asks for a request of ours and texts with their lengths.
    let (core, name, value) = unsafe { (Core::of(req), bytes(name, name_len), bytes(value, value_len)) };
    let (name, value) = match name {
        [] => line(value),
        name => (name, value),
    };
    result(response::header(core, name, value))
}

/// The parts of a whole line; without a colon it has no name, which is refused.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|b| *b == b':') {
        Some(colon) => (&text[..colon], text[colon + 1..].trim_ascii()),
        None => (&[], text),
    }
}

/// # Safety
/// `req` is a request of ours.
unsafe fn add(req: *mut WsgiRequest, name: &str, value: &str) -> c_int {
    // SAFETY: by the contract.
    unsafe { result(response::header(Core::of(req), name.as_bytes(), value.as_bytes())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_add_content_length(req: *mut WsgiRequest, length: u64) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { add(req, "Content-Length", &length.to_string()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_add_content_range(
    req: *mut WsgiRequest,
    from: i64,
    to: i64,
    size: i64,
) -> c_int {
    let value = if from < 0 {
        format!("bytes */{size}")
    } else {
        // a range may reach beyond the end, an answer does not
        format!("bytes {from}-{}/{size}", to.min((size - 1).max(from)))
    };
    // SAFETY: the header asks for a request of ours.
    unsafe { add(req, "Content-Range", &value) }
}

fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_add_last_modified(req: *mut WsgiRequest, seconds: u64) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { add(req, "Last-Modified", &http_date(seconds)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_add_expires(req: *mut WsgiRequest, seconds: u64) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { add(req, "Expires", &http_date(seconds)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_write_headers_do(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe {
        let core = Core::of(req);
        if crate::worker::offload_engine::is_used() {
            // what follows may come from a thread that knows nothing of frames
            core.response.end_by_close();
        }
        result(response::send_head(core))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_write_body_do(req: *mut WsgiRequest, data: *mut c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a request of ours and bytes with their length.
    unsafe { result(response::write(Core::of(req), &[place(bytes(data, len))], false)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_response_writev(
    req: *mut WsgiRequest,
    parts: *const iovec,
    count: usize,
    last: c_int,
) -> c_int {
    // SAFETY: the header asks for a request of ours and an array of `count` entries.
    unsafe {
        let parts = if count == 0 {
            &[][..]
        } else {
            std::slice::from_raw_parts(parts, count)
        };
        result(response::write(Core::of(req), parts, last != 0))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_response_writev_now(
    req: *mut WsgiRequest,
    parts: *const iovec,
    count: usize,
    last: c_int,
) -> c_int {
    // SAFETY: the header asks for a request of ours and an array of `count` entries.
    let written = unsafe {
        if last == 2 {
            Core::of(req).response.set_returns_at_once();
        }
        let parts = match count {
            0 => &[][..],
            count => std::slice::from_raw_parts(parts, count),
        };
        response::write_now(Core::of(req), parts, last != 0)
    };
    match written {
        Ok(is_taken) => c_int::from(!is_taken),
        Err(e) => result(Err(e)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_response_wait(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { result(response::wait(Core::of(req))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_response_sendfile_do(
    req: *mut WsgiRequest,
    fd: c_int,
    position: usize,
    length: usize,
) -> c_int {
    // SAFETY: the header asks for a request of ours and a descriptor that becomes ours.
    unsafe { result(response::send_file(Core::of(req), fd, position as u64, length as u64)) }
}

/// Short answers of the server's own.
macro_rules! answers {
    ($($name:ident => $status:literal, $body:literal;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(req: *mut WsgiRequest) {
            // SAFETY: the header asks for a request of ours.
            unsafe { response::plain(Core::of(req), $status, $body) }
        }
    )* };
}

answers! {
    uwsgi_403 => "403 Forbidden", "Forbidden";
    uwsgi_404 => "404 Not Found", "Not Found";
    uwsgi_405 => "405 Method Not Allowed", "Method Not Allowed";
    uwsgi_500 => "500 Internal Server Error", "Internal Server Error";
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_redirect_to_slash(req: *mut WsgiRequest) {
    // SAFETY: the header asks for a request of ours.
    unsafe {
        let core = Core::of(req);
        let path = bytes((*req).uri, (*req).uri_len);
        let (path, query) = match path.iter().position(|b| *b == b'?') {
            Some(at) => (&path[..at], &path[at..]),
            None => (path, &[][..]),
        };
        let target = [path, b"/", query].concat();
        let _ = response::start(core, b"302 Found")
            .and_then(|()| response::header(core, b"Location", &target))
            .and_then(|()| response::write(core, &[], true));
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_has_a_name_and_a_value() {
        assert_eq!(
            line(b"X-One:  two: three "),
            (b"X-One".as_slice(), b"two: three".as_slice())
        );
        assert_eq!(line(b"Empty:"), (b"Empty".as_slice(), b"".as_slice()));
        assert_eq!(line(b"nothing"), (b"".as_slice(), b"nothing".as_slice()));
    }
}
