//! Setters for option rows, string lists, key-value lists. In the master, while options are applied.

use super::{bytes, memory::uwsgi_calloc, string::new_text, text};
use crate::config::Origin;
use crate::config::magic::{self, FileContext};
use crate::say;
use rsgi_plugin_api::abi::UwsgiStringList;
use std::ffi::{c_char, c_int, c_void};

/// The value as a number, with a decimal prefix as uWSGI takes it; what is none ends the start with a clear line.
///
/// # Safety
/// `name` and `value` are NULL or NUL-terminated.
unsafe fn number(name: *const c_char, value: *const c_char) -> i64 {
    if value.is_null() {
        return 1;
    }
    // SAFETY: by the contract.
    let (name, value) = unsafe { (text(name), text(value)) };
    let value = String::from_utf8_lossy(value);
    match value.trim() {
        "true" | "yes" | "on" => 1,
        "false" | "no" | "off" => 0,
        digits => digits.parse().unwrap_or_else(|_| {
            say!("option {}: {value:?} is not a number", String::from_utf8_lossy(name));
            crate::process::exit(1)
        }),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_set_str(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is a char *; the value lives as long as the process.
    unsafe {
        *data.cast::<*mut c_char>() = if value.is_null() {
            c"".as_ptr().cast_mut()
        } else {
            value
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_set_int(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is an int.
    unsafe { *data.cast::<c_int>() = number(name, value) as c_int }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_set_16bit(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is a uint16_t.
    unsafe { *data.cast::<u16>() = number(name, value) as u16 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_set_64bit(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is a uint64_t.
    unsafe { *data.cast::<u64>() = number(name, value) as u64 }
}

/// Whether a flag's value says no.
fn says_no(value: &[u8]) -> bool {
    matches!(value.trim_ascii(), b"false" | b"no" | b"off" | b"0")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_true(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is an int.
    unsafe { *data.cast::<c_int>() = c_int::from(!says_no(text(value))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_false(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is an int.
    unsafe { *data.cast::<c_int>() = c_int::from(says_no(text(value))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_add_string_list(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is a list head; the value lives as long as the process.
    unsafe {
        uwsgi_string_new_list(
            data.cast(),
            if value.is_null() {
                c"".as_ptr().cast_mut()
            } else {
                value
            },
        )
    };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_add_addr_list(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: as for every list.
    unsafe { uwsgi_opt_add_string_list(name, value, data) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_print(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    let shown = if data.is_null() { value } else { data.cast() };
    // SAFETY: both are NULL or NUL-terminated by the header.
    crate::control::print(&String::from_utf8_lossy(unsafe { text(shown) }));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_string_new_list(
    list: *mut *mut UwsgiStringList,
    value: *mut c_char,
) -> *mut UwsgiStringList {
    let node = uwsgi_calloc(size_of::<UwsgiStringList>()).cast::<UwsgiStringList>();
    // SAFETY: the list's nodes are ours or NULL; the node is new and zeroed.
    unsafe {
        (*node).value = value;
        (*node).len = text(value).len();
        let mut place = list;
        while !(*place).is_null() {
            place = &raw mut (**place).next;
        }
        *place = node;
    }
    node
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_string_list_has_item(
    list: *mut UwsgiStringList,
    key: *mut c_char,
    len: usize,
) -> *mut UwsgiStringList {
    // SAFETY: the header asks for a list and a key with its length.
    unsafe {
        let key = bytes(key, len);
        let mut node = list;
        while !node.is_null() && text((*node).value) != key {
            node = (*node).next;
        }
        node
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_kvlist_parse_pairs(
    list: *mut c_char,
    len: usize,
    list_separator: c_char,
    kv_separator: c_int,
    keys: *mut *mut c_char,
    values: *mut *mut *mut c_char,
    count: usize,
) -> c_int {
    // SAFETY: the header asks for a text with its length and two arrays of `count`.
    unsafe {
        for item in split_list(bytes(list, len), list_separator as u8) {
            let (key, value) = match item.iter().position(|b| c_int::from(*b) == kv_separator) {
                Some(at) => (&item[..at], Some(&item[at + 1..])),
                None => (&item[..], None),
            };
            let known = (0..count).find(|i| text(*keys.add(*i)) == key);
            let (Some(index), Some(value)) = (known, value) else {
                let what = match known {
                    _ if key.is_empty() => continue,
                    Some(_) => "has no value",
                    None => "is unknown",
                };
                say!(
                    "key-value list {:?}: key {:?} {what}: it is left out",
                    String::from_utf8_lossy(bytes(list, len)),
                    String::from_utf8_lossy(key)
                );
                continue;
            };
            **values.add(index) = new_text(value);
        }
    }
    0
}

/// Cuts at separators; a backslash keeps the next byte.
fn split_list(data: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut items = vec![Vec::new()];
    let mut rest = data.iter().copied();
    while let Some(b) = rest.next() {
        let last = items.len() - 1;
        if b == b'\\' {
            items[last].extend(rest.next());
        } else if b == separator {
            items.push(Vec::new());
        } else {
            items[last].push(b);
        }
    }
    items.retain(|i| !i.is_empty());
    items
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_hooked_parse(
    packet: *mut c_char,
    len: usize,
    func: Option<unsafe extern "C" fn(*mut c_char, u16, *mut c_char, u16, *mut c_void)>,
    data: *mut c_void,
) -> c_int {
    let Some(func) = func else { return -1 };
    // SAFETY: the header asks for a packet body with its length.
    for pair in rsgi_protocol::uwsgi::parse_vars(unsafe { bytes(packet, len) }) {
        let Ok((key, value)) = pair else { return -1 };
        // SAFETY: the callback's own contract.
        unsafe {
            func(
                key.as_ptr().cast_mut().cast(),
                key.len() as u16,
                value.as_ptr().cast_mut().cast(),
                value.len() as u16,
                data,
            );
        }
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_default_option(
    name: *const c_char,
    value: *const c_char,
    unless: *const c_char,
    origin: *const c_char,
) -> c_int {
    // SAFETY: the header asks for NUL-terminated texts or NULL.
    let [name, unless, origin] = [name, unless, origin].map(|p| String::from_utf8_lossy(unsafe { text(p) }));
    // SAFETY: as above.
    let value = (!value.is_null()).then(|| String::from_utf8_lossy(unsafe { text(value) }));
    match crate::options::defaults::offer(&name, value.as_deref(), &unless, &origin) {
        Some(taken) => c_int::from(taken),
        None => -1,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_magic(letter: c_char, buf: *mut c_char, size: usize) -> c_int {
    let value = settings_file().and_then(|file| magic::value(char::from(letter as u8), &file));
    let Some(value) = value else { return -1 };
    let len = value.len().min(size);
    // SAFETY: the header asks for so many writable bytes.
    unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), buf.cast(), len) };
    value.len() as c_int
}

/// The first file that was read; without one there is still what the machine knows.
fn settings_file() -> Option<FileContext> {
    let server = crate::server::try_server();
    let mut origins = server.iter().flat_map(|s| &s.settings.origins);
    let file = origins.find_map(|origin| match origin {
        Origin::File { path, .. } => Some(FileContext::new(path, None)),
        _ => None,
    });
    Some(file.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_escaped_separators() {
        assert_eq!(split_list(br"a=1,b=x\,y,", b','), [b"a=1".to_vec(), b"b=x,y".to_vec()]);
    }

    #[test]
    fn string_lists_grow_at_their_end() {
        let mut head = std::ptr::null_mut();
        // SAFETY: constant texts and a list of ours.
        unsafe {
            uwsgi_string_new_list(&mut head, c"one".as_ptr().cast_mut());
            let two = uwsgi_string_new_list(&mut head, c"two".as_ptr().cast_mut());
            assert_eq!((*head).next, two);
            assert_eq!((*two).len, 3);
            assert_eq!(uwsgi_string_list_has_item(head, c"two".as_ptr().cast_mut(), 3), two);
            assert!(uwsgi_string_list_has_item(head, c"tw".as_ptr().cast_mut(), 2).is_null());
        }
    }
}
