//! The request in the hands of a plugin.

use super::bytes;
use crate::plugin::inside::Brought;
use crate::request::body::BodyError;
use crate::request::{Core, vars};
use crate::say;
use crate::server::{apps, server, view, worker_id};
use crate::shared::counter;
use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_parse_vars(req: *mut WsgiRequest) -> c_int {
    // the rest was digested when the request began; a malformed packet never reached a plugin
    // SAFETY: the header asks for a request of ours; the field of the view is a plugin's to write.
    unsafe {
        if (*req).range_len > 0 && (*view()).honour_range != 0 {
            ((*req).range_from, (*req).range_to) = range_of(bytes((*req).range, (*req).range_len));
        }
    }
    0
}

/// The first and the last byte of `bytes=FIRST-LAST`; 0 and 0 for everything else, which a server may answer whole.
fn range_of(text: &[u8]) -> (i64, i64) {
    let parsed = || {
        let (unit, range) = std::str::from_utf8(text).ok()?.split_once('=')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (unit.trim().eq_ignore_ascii_case("bytes") && first <= last).then_some((first, last))
    };
    parsed().unwrap_or_default()
}

/// The place of a value for C.
fn found(value: Option<&[u8]>, len: *mut u16) -> *mut c_char {
    let Some(value) = value else {
        return std::ptr::null_mut();
    };
    if !len.is_null() {
        // SAFETY: the header asks for a writable place.
        unsafe { *len = value.len().min(0xffff) as u16 };
    }
    if value.is_empty() {
        c"".as_ptr().cast_mut()
    } else {
        value.as_ptr().cast_mut().cast()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_var(
    req: *mut WsgiRequest,
    key: *mut c_char,
    len: u16,
    vallen: *mut u16,
) -> *mut c_char {
    // SAFETY: the header asks for a request of ours and a key with its length.
    unsafe { found(vars::find(&*req, bytes(key, len)), vallen) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_qs(
    req: *mut WsgiRequest,
    key: *mut c_char,
    len: u16,
    vallen: *mut u16,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe {
        found(
            vars::pair_of(
                bytes((*req).query_string, (*req).query_string_len),
                b'&',
                bytes(key, len),
            ),
            vallen,
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_cookie(
    req: *mut WsgiRequest,
    key: *mut c_char,
    len: u16,
    vallen: *mut u16,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe {
        found(
            vars::pair_of(bytes((*req).cookie, (*req).cookie_len), b';', bytes(key, len)),
            vallen,
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_req_append(
    req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u16,
    val: *mut c_char,
    vallen: u16,
) -> *mut c_char {
    // SAFETY: the header asks for a request of ours and texts with their lengths.
    unsafe { vars::append(Core::of(req), bytes(key, keylen), bytes(val, vallen)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_request_body_read(req: *mut WsgiRequest, hint: isize, rlen: *mut isize) -> *mut c_char {
    // SAFETY: the header asks for a request of ours and a writable place.
    unsafe {
        let core = Core::of(req);
        let conn = core.conn;
        body_result(
            req,
            core.body.read(&mut *conn, usize::try_from(hint).unwrap_or(0)),
            rlen,
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_request_body_readline(
    req: *mut WsgiRequest,
    hint: isize,
    rlen: *mut isize,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe {
        let core = Core::of(req);
        let conn = core.conn;
        body_result(
            req,
            core.body.read_line(&mut *conn, usize::try_from(hint).unwrap_or(0)),
            rlen,
        )
    }
}

/// # Safety
/// `req` is a request of ours, `rlen` is writable.
unsafe fn body_result(req: *mut WsgiRequest, read: Result<&[u8], BodyError>, rlen: *mut isize) -> *mut c_char {
    // SAFETY: by the contract.
    unsafe {
        match read {
            Ok([]) => {
                *rlen = 0;
                c"".as_ptr().cast_mut()
            }
            Ok(data) => {
                *rlen = data.len() as isize;
                (*req).post_pos += data.len();
                data.as_ptr().cast_mut().cast()
            }
            Err(e) => {
                (*req).read_errors += 1;
                *rlen = if matches!(e, BodyError::Timeout(_)) { 0 } else { -1 };
                let uri = String::from_utf8_lossy(bytes((*req).uri, (*req).uri_len)).into_owned();
                say!("unable to read the body of {uri}: {e}");
                std::ptr::null_mut()
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_request_body_seek(req: *mut WsgiRequest, position: libc::off_t) {
    // SAFETY: the header asks for a request of ours.
    unsafe {
        Core::of(req).body.seek(position.max(0) as u64);
        (*req).post_pos = position.max(0) as usize;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_app_id(
    _req: *mut WsgiRequest,
    key: *mut c_char,
    len: u16,
    modifier1: c_int,
) -> c_int {
    // SAFETY: the header asks for a key with its length.
    apps().find(unsafe { bytes(key, len) }, modifier1).unwrap_or(-1)
}

/// What a plugin says of the exception of a request.
type Describe = unsafe extern "C" fn(*mut WsgiRequest) -> *mut rsgi_plugin_api::abi::UwsgiBuffer;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_manage_exception(req: *mut WsgiRequest, catch_it: c_int) -> c_int {
    // SAFETY: the header asks for a request of ours; the hooks are the plugin's own.
    unsafe {
        count_exception(&*req);
        let plugin = &*(*crate::server::view()).p[usize::from(Core::of(req).modifier1())];
        let raw = |buffer: *mut rsgi_plugin_api::abi::UwsgiBuffer| {
            if buffer.is_null() {
                return None;
            }
            let text = bytes((*buffer).buf, (*buffer).pos).to_vec();
            super::buffer::uwsgi_buffer_destroy(buffer);
            Some(text)
        };
        let ask = |name, hook: Option<Describe>| {
            let text = raw(Brought::hook(plugin, name, hook?).call(|hook| hook(req)));
            text.map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        let class = ask(c"hook exception_class", plugin.exception_class);
        let message = ask(c"hook exception_msg", plugin.exception_msg);
        let repr = ask(c"hook exception_repr", plugin.exception_repr);
        let trace = match plugin.backtrace {
            Some(hook) if catch_it != 0 || crate::exceptions::is_wanted() => {
                raw(Brought::hook(plugin, c"hook backtrace", hook).call(|hook| hook(req)))
            }
            _ => None,
        };
        let caught = catch_it != 0 && !Core::of(req).response.is_sent();
        if caught {
            let trace = crate::exceptions::readable(trace.as_deref().unwrap_or_default());
            let body = format!("{}\n\n{trace}", repr.clone().unwrap_or_default());
            crate::request::response::plain(Core::of(req), "500 Internal Server Error", &body);
        }
        if let Some(log) = plugin.exception_log {
            Brought::hook(plugin, c"hook exception_log", log).call(|log| log(req));
        }
        if crate::exceptions::is_wanted() {
            let exception = crate::exceptions::Exception {
                backtrace: trace,
                class: class.clone(),
                message: message.clone(),
                repr: repr.clone(),
            };
            crate::exceptions::tell(&*req, &exception);
        }
        if is_monitored(class.as_deref(), message.as_deref(), repr.as_deref()) {
            let id = worker_id();
            say!(
                "... monitored exception detected, respawning worker {id} (pid: {})...",
                std::process::id()
            );
            crate::process::recycle(server(), id);
        }
        if caught { 0 } else { -1 }
    }
}

fn count_exception(req: &WsgiRequest) {
    let shared = &server().shared;
    // SAFETY: records in shared memory and of this process.
    unsafe {
        counter(&raw mut (*shared.worker(worker_id())).exceptions).fetch_add(1, Ordering::Relaxed);
        counter(&raw mut (*shared.core(worker_id(), req.async_id as usize)).exceptions).fetch_add(1, Ordering::Relaxed);
        if let Some(app) = apps().app(req.app_id) {
            counter(&raw mut (*app).exceptions).fetch_add(1, Ordering::Relaxed);
            crate::apps::count_exception(req.app_id);
        }
    }
}

/// `--reload-on-exception` and its filters.
fn is_monitored(class: Option<&str>, message: Option<&str>, repr: Option<&str>) -> bool {
    let limits = &server().settings.limits;
    let named = |list: &[String], value: Option<&str>| value.is_some_and(|v| list.iter().any(|l| l == v));
    let class_named = class.is_some_and(|c| {
        let plain = c.rsplit('.').next().unwrap_or(c);
        limits
            .reload_on_exception_type
            .iter()
            .any(|l| l == c || l.rsplit('.').next() == Some(plain))
    });
    // uWSGI's own spelling of an exception: class and message
    let spelled = class
        .zip(message)
        .map(|(c, m)| format!("{}: {m}", c.rsplit('.').next().unwrap_or(c)));
    limits.reload_on_exception
        || class_named
        || named(&limits.reload_on_exception_value, message)
        || named(&limits.reload_on_exception_repr, repr)
        || named(&limits.reload_on_exception_repr, spelled.as_deref())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_request_client_gone(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    let fd = unsafe { (*req).fd };
    let mut entry = libc::pollfd {
        fd,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one valid entry.
    let ready = unsafe { libc::poll(&mut entry, 1, 0) };
    c_int::from(ready > 0 && entry.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_disconnect(req: *mut WsgiRequest) {
    // SAFETY: the header asks for a request of ours.
    crate::request::response::disconnect(unsafe { Core::of(req) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_logvar_add(
    req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u8,
    val: *mut c_char,
    vallen: u8,
) {
    // SAFETY: the header asks for a request of ours and texts with their lengths.
    let (core, key, value) = unsafe { (Core::of(req), bytes(key, keylen), bytes(val, vallen)) };
    core.set_log_variable(key, value);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_logvar_get(
    req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u8,
    val: *mut *mut c_char,
) -> c_int {
    // SAFETY: the header asks for a request of ours, a text with its length and a writable place.
    unsafe {
        match crate::log::format::log_variable(&*req, bytes(key, keylen)) {
            Some(value) => {
                *val = value.as_ptr().cast_mut().cast();
                value.len() as c_int
            }
            None => -1,
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn set_harakiri(seconds: c_int) {
    crate::process::harakiri::set_user_deadline(seconds);
}

#[unsafe(no_mangle)]
pub extern "C" fn set_user_harakiri(seconds: c_int) {
    set_harakiri(seconds);
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_worker_exceptions(worker: c_int) -> u64 {
    let shared = crate::server::try_server().map(|server| &server.shared);
    match (shared, usize::try_from(worker)) {
        // SAFETY: a record in shared memory, read as a whole.
        (Some(shared), Ok(id)) if id <= shared.worker_count() => unsafe {
            (&raw const (*shared.worker(id)).exceptions).read_volatile()
        },
        _ => 0,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_set_harakiri(req: *mut WsgiRequest, seconds: c_int) {
    // SAFETY: the header asks for a request of ours.
    let core = unsafe { Core::of(req) };
    core.set_own_time(seconds);
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_notify_alive() {
    if worker_id() > 0 {
        crate::worker::beat();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_worker_is_busy(worker: c_int) -> c_int {
    let shared = &server().shared;
    match usize::try_from(worker) {
        Ok(id) if id <= shared.worker_count() => c_int::from(shared.is_busy(id)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn ranges_with_both_ends_are_told() {
        for (text, expected) in [
            ("bytes=2-5", (2, 5)),
            ("Bytes = 0-9", (0, 9)),
            ("bytes=7-7", (7, 7)),
            ("bytes=5-", (0, 0)),
            ("bytes=-5", (0, 0)),
            ("bytes=5-2", (0, 0)),
            ("bytes=1-2,4-5", (0, 0)),
            ("bytes=1-99999999999999999999", (0, 0)),
            ("lines=1-2", (0, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(range_of(text.as_bytes()), expected, "{text}");
        }
    }
}
