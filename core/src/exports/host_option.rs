//! Setters for option rows of plugins that mean options of the host, and patterns as options collect them.

use super::memory::uwsgi_calloc;
use super::{bytes, text};
use crate::options::by_plugin;
use crate::say;
use pcre2::bytes::Regex;
use rsgi_plugin_api::abi::UwsgiRegexpList;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

/// A C text, unless it is NULL.
///
/// # Safety
/// It is NULL or NUL-terminated.
unsafe fn given(value: *const c_char) -> Option<String> {
    // SAFETY: by the contract.
    (!value.is_null()).then(|| String::from_utf8_lossy(unsafe { text(value) }).into_owned())
}

/// Functions that hand their value to an option of the host.
macro_rules! setters {
    ($($name:ident $option:literal;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(_name: *mut c_char, value: *mut c_char, _data: *mut c_void) {
            // SAFETY: the header asks for NULL or a NUL-terminated text.
            by_plugin::set($option, unsafe { given(value) }.as_deref());
        }
    )* };
}

setters! {
    uwsgi_opt_add_mule "mule";
    uwsgi_opt_set_placeholder "set-placeholder";
    uwsgi_opt_add_lazy_socket "socket";
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_set_logger(_name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the header asks for NULL or NUL-terminated texts.
    let (value, kind) = unsafe { (given(value), given(data.cast())) };
    let logger = match (kind, value) {
        (Some(kind), Some(value)) => format!("{kind}:{value}"),
        (kind, value) => kind.or(value).unwrap_or_default(),
    };
    by_plugin::set("logger", Some(&logger));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_exported_option(key: *mut c_char, value: *mut c_char, _configured: c_int) {
    // SAFETY: the header asks for a NUL-terminated text, and another or NULL.
    let (key, value) = unsafe { (given(key), given(value)) };
    by_plugin::set(&key.unwrap_or_default(), value.as_deref());
}

/// The number of a user or group; what is none ends the start with a clear line.
///
/// # Safety
/// Both are NULL or NUL-terminated.
unsafe fn owner(option: *const c_char, value: *const c_char, is_user: bool) -> u32 {
    // SAFETY: by the contract.
    let (option, value) = unsafe { (given(option), given(value)) };
    let (option, value) = (option.unwrap_or_default(), value.unwrap_or_default());
    let spelt = if is_user { value.clone() } else { format!(":{value}") };
    let found = crate::net::listener::owner(&spelt).map(|(user, group)| if is_user { user } else { group });
    match found {
        Ok(Some(number)) => number,
        Ok(None) => crate::process::exit(1),
        Err(why) => {
            say!("option {option}: {why}");
            crate::process::exit(1)
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_uid(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is NULL or a uid_t, the value a text.
    unsafe {
        match data.is_null() {
            true => by_plugin::set("uid", given(value).as_deref()),
            false => *data.cast::<libc::uid_t>() = owner(name, value, true),
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_gid(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is NULL or a gid_t, the value a text.
    unsafe {
        match data.is_null() {
            true => by_plugin::set("gid", given(value).as_deref()),
            false => *data.cast::<libc::gid_t>() = owner(name, value, false),
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_deprecated(name: *mut c_char, _value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is NULL or a text.
    let (name, instead) = unsafe { (given(name), given(data.cast())) };
    let instead = instead.map(|text| format!(": {text}")).unwrap_or_default();
    say!("the option {} is deprecated{instead}", name.unwrap_or_default());
}

/// A pattern that stays for the life of the process.
fn build(pattern: &[u8]) -> Result<*mut c_void, String> {
    let regex = Regex::new(&String::from_utf8_lossy(pattern)).map_err(|e| e.to_string())?;
    Ok(Box::into_raw(Box::new(regex)).cast())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_opt_add_regexp_list(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the row's data is a list head of ours, the value a text.
    unsafe {
        let pattern = build(text(value)).unwrap_or_else(|why| {
            say!(
                "option {}: {why} (pattern {:?})",
                given(name).unwrap_or_default(),
                given(value).unwrap_or_default()
            );
            crate::process::exit(1)
        });
        let node = uwsgi_calloc(size_of::<UwsgiRegexpList>()).cast::<UwsgiRegexpList>();
        (*node).pattern = pattern;
        let mut place = data.cast::<*mut UwsgiRegexpList>();
        while !(*place).is_null() {
            place = &raw mut (**place).next;
        }
        *place = node;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_regexp_build(
    value: *mut c_char,
    pattern: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> c_int {
    // SAFETY: the header asks for a text and places.
    unsafe {
        match build(text(value)) {
            Ok(built) => {
                *pattern = built;
                if !extra.is_null() {
                    *extra = null_mut();
                }
                0
            }
            Err(why) => {
                say!("pattern {:?}: {why}", given(value).unwrap_or_default());
                -1
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_regexp_match(
    pattern: *mut c_void,
    _extra: *mut c_void,
    subject: *mut c_char,
    len: c_int,
) -> c_int {
    // SAFETY: the header asks for a pattern of ours and a text with its length.
    let is_match = unsafe {
        let Some(regex) = pattern.cast::<Regex>().as_ref() else {
            return -1;
        };
        regex.is_match(bytes(subject, len)).unwrap_or(false)
    };
    if is_match { 0 } else { -1 }
}
