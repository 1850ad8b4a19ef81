//! The variables of a request: the digested fields of the C view, `SCRIPT_NAME` of mounted apps, look-ups.

use super::{Core, bytes_of, place};
use crate::server::{apps, server};
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_protocol::Name;
use std::ffi::c_char;

/// The value of a variable; the last one wins when a packet repeats a name.
pub fn find<'a>(req: &'a WsgiRequest, key: &[u8]) -> Option<&'a [u8]> {
    entries(req)
        .chunks_exact(2)
        .rev()
        // SAFETY: entries of the current request.
        .find(|pair| unsafe { bytes_of(&pair[0]) } == key)
        // SAFETY: as above.
        .map(|pair| unsafe { bytes_of(&pair[1]) })
}

/// All variables, name and value.
pub fn pairs(req: &WsgiRequest) -> impl Iterator<Item = (&[u8], &[u8])> {
    // SAFETY: entries of the current request.
    let pair = |pair: &[libc::iovec]| unsafe { (bytes_of(&pair[0]), bytes_of(&pair[1])) };
    entries(req).chunks_exact(2).map(pair)
}

fn entries(req: &WsgiRequest) -> &[libc::iovec] {
    if req.var_cnt == 0 || req.hvec.is_null() {
        return &[];
    }
    // SAFETY: the host keeps `hvec` and `var_cnt` in step.
    unsafe { std::slice::from_raw_parts(req.hvec, usize::from(req.var_cnt)) }
}

/// Writes the digested fields from the variables and applies `--manage-script-name`; once per request.
pub fn digest(core: &mut Core) {
    for i in (0..core.hvec.len()).step_by(2) {
        // SAFETY: entries of the current request.
        let (key, value) = unsafe { (bytes_of(&core.hvec[i]), bytes_of(&core.hvec[i + 1])) };
        digest_one(core.raw(), key, value);
    }
    settle(core);
}

/// The same for variables whose fields are written already.
pub fn settle(core: &mut Core) {
    core.publish_vars();
    if server().settings.apps.manage_script_name {
        let at = |wanted: &[u8]| {
            // SAFETY: entries of the current request.
            let keys = (0..core.hvec.len())
                .step_by(2)
                .map(|i| (i, unsafe { bytes_of(&core.hvec[i]) }));
            keys.rev().find(|(_, key)| *key == wanted).map(|(i, _)| i + 1)
        };
        let (script, path) = (at(b"SCRIPT_NAME"), at(b"PATH_INFO"));
        split_script_name(core, script, path);
    }
    super::tracing::complete(core);
    let raw = core.raw();
    if raw.appid.is_null() {
        raw.appid = raw.script_name;
        raw.appid_len = raw.script_name_len;
    }
}

/// Sets a text of the C view.
macro_rules! set {
    ($raw:ident, $value:ident, $field:ident, $length:ident) => {{
        $raw.$field = $value.as_ptr().cast_mut().cast::<c_char>();
        $raw.$length = $value.len().min(0xffff) as u16;
    }};
}

/// Writes the field of the C view that a header field belongs to, if there is one.
#[inline]
pub(super) fn digest_field(raw: &mut WsgiRequest, name: Name, value: &[u8]) {
    match name {
        Name::Host => set!(raw, value, host, host_len),
        Name::Cookie => set!(raw, value, cookie, cookie_len),
        Name::UserAgent => set!(raw, value, user_agent, user_agent_len),
        Name::Referer => set!(raw, value, referer, referer_len),
        Name::Authorization => set!(raw, value, authorization, authorization_len),
        Name::AcceptEncoding => set!(raw, value, encoding, encoding_len),
        Name::Range => set!(raw, value, range, range_len),
        Name::IfRange => set!(raw, value, if_range, if_range_len),
        Name::IfModifiedSince => set!(raw, value, if_modified_since, if_modified_since_len),
        Name::ContentType => set!(raw, value, content_type, content_type_len),
        _ => {}
    }
}

/// Writes the field of the C view that a variable belongs to, if there is one.
#[inline(always)]
pub(super) fn digest_one(raw: &mut WsgiRequest, key: &[u8], value: &[u8]) {
    match key {
        b"REQUEST_METHOD" => set!(raw, value, method, method_len),
        b"REQUEST_URI" => set!(raw, value, uri, uri_len),
        b"PATH_INFO" => set!(raw, value, path_info, path_info_len),
        b"QUERY_STRING" => set!(raw, value, query_string, query_string_len),
        b"SERVER_PROTOCOL" => set!(raw, value, protocol, protocol_len),
        b"SCRIPT_NAME" => set!(raw, value, script_name, script_name_len),
        b"REMOTE_ADDR" => set!(raw, value, remote_addr, remote_addr_len),
        b"REMOTE_USER" => set!(raw, value, remote_user, remote_user_len),
        b"HTTP_HOST" => set!(raw, value, host, host_len),
        b"HTTP_COOKIE" => set!(raw, value, cookie, cookie_len),
        b"HTTP_USER_AGENT" => set!(raw, value, user_agent, user_agent_len),
        b"HTTP_REFERER" => set!(raw, value, referer, referer_len),
        b"HTTP_AUTHORIZATION" => set!(raw, value, authorization, authorization_len),
        b"HTTP_ACCEPT_ENCODING" => set!(raw, value, encoding, encoding_len),
        b"HTTP_RANGE" => set!(raw, value, range, range_len),
        b"HTTP_IF_RANGE" => set!(raw, value, if_range, if_range_len),
        b"HTTP_IF_MODIFIED_SINCE" => set!(raw, value, if_modified_since, if_modified_since_len),
        b"HTTPS" => set!(raw, value, https, https_len),
        b"UWSGI_SCHEME" | b"REQUEST_SCHEME" => set!(raw, value, scheme, scheme_len),
        b"DOCUMENT_ROOT" => set!(raw, value, document_root, document_root_len),
        b"CONTENT_TYPE" => set!(raw, value, content_type, content_type_len),
        b"UWSGI_APPID" => set!(raw, value, appid, appid_len),
        b"UWSGI_FILE" if server().settings.apps.dynamic_apps => set!(raw, value, file, file_len),
        _ => {}
    }
}

/// Moves the mountpoint of the app from the front of `PATH_INFO` to `SCRIPT_NAME`.
fn split_script_name(core: &mut Core, script: Option<usize>, path: Option<usize>) {
    let Some(path_at) = path else { return };
    // SAFETY: an entry of the current request.
    let value: &'static [u8] = unsafe { bytes_of(&core.hvec[path_at]) };
    if script.is_some_and(|s| core.hvec[s].iov_len > 0) {
        return;
    }
    let Some(length) = apps().longest_mount(value) else {
        return;
    };
    let (mount, rest) = value.split_at(length);
    core.hvec[path_at] = place(rest);
    match script {
        Some(at) => core.hvec[at] = place(mount),
        None => core.hvec.extend([place(b"SCRIPT_NAME"), place(mount)]),
    }
    core.publish_vars();
    let raw = core.raw();
    raw.path_info = rest.as_ptr().cast_mut().cast();
    raw.path_info_len = rest.len() as u16;
    raw.script_name = mount.as_ptr().cast_mut().cast();
    raw.script_name_len = mount.len() as u16;
}

/// Adds a variable; the place of its value.
pub fn append(core: &mut Core, key: &[u8], value: &[u8]) -> *mut c_char {
    if core.hvec.len() + 2 > usize::from(u16::MAX) {
        return std::ptr::null_mut();
    }
    let mut both = Vec::with_capacity(key.len() + value.len());
    both.extend_from_slice(key);
    both.extend_from_slice(value);
    let both = both.into_boxed_slice();
    let (k, v) = both.split_at(key.len());
    let start = v.as_ptr();
    core.hvec.extend([place(k), place(v)]);
    core.appended.push(both);
    core.publish_vars();
    start.cast_mut().cast()
}

/// Sets a variable, whether it was there or not, and the field of the C view that it belongs to.
pub fn set(core: &mut Core, key: &[u8], value: &[u8]) {
    // SAFETY: entries of the current request.
    let known = (0..core.hvec.len())
        .step_by(2)
        .rfind(|i| unsafe { bytes_of(&core.hvec[*i]) } == key);
    match known {
        Some(i) => {
            let kept: Box<[u8]> = value.into();
            core.hvec[i + 1] = place(&kept);
            core.appended.push(kept);
        }
        None if append(core, key, value).is_null() => return,
        None => {}
    }
    let at = known.unwrap_or(core.hvec.len() - 2);
    // SAFETY: as above; the value lies in `appended` until the request ends.
    let value: &'static [u8] = unsafe { bytes_of(&core.hvec[at + 1]) };
    digest_one(core.raw(), key, value);
    if key == b"SCRIPT_NAME" {
        let raw = core.raw();
        raw.appid = raw.script_name;
        raw.appid_len = raw.script_name_len;
    }
}

/// One pair of `a=1&b=2` (or `a=1; b=2` for cookies), the value raw.
pub fn pair_of<'a>(text: &'a [u8], separator: u8, key: &[u8]) -> Option<&'a [u8]> {
    text.split(|b| *b == separator).find_map(|part| {
        let part = part.trim_ascii();
        let equals = part.iter().position(|b| *b == b'=')?;
        (&part[..equals] == key).then(|| &part[equals + 1..])
    })
}

#[cfg(test)]
mod tests {
    use super::pair_of;

    #[test]
    fn pairs_of_queries_and_cookies() {
        assert_eq!(pair_of(b"a=1&bb=2&b=3", b'&', b"b"), Some(&b"3"[..]));
        assert_eq!(pair_of(b"a=1; session=x=y; z=", b';', b"session"), Some(&b"x=y"[..]));
        assert_eq!(pair_of(b"a=1; z=", b';', b"z"), Some(&b""[..]));
        assert_eq!(pair_of(b"a&b", b'&', b"a"), None);
    }
}
