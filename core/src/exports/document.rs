//! A JSON document that a plugin writes piece by piece, and lists with keys.

use super::memory::uwsgi_calloc;
use super::{bytes, text};
use rsgi_plugin_api::abi::{UwsgiDynDict, UwsgiStats};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

/// No document of ours is larger.
const LARGEST: usize = 1 << 30;

/// Adds text at the end.
///
/// # Safety
/// `stats` is a document that [`uwsgi_stats_new`] made.
unsafe fn add(stats: *mut UwsgiStats, more: &[u8]) -> c_int {
    // SAFETY: by the contract: base is memory of malloc() and size bytes long.
    unsafe {
        let pos = (*stats).pos as usize;
        let needed = pos + more.len();
        if needed > LARGEST {
            return -1;
        }
        if needed > (*stats).size {
            let size = needed.max((*stats).size + (*stats).chunk.max(4096));
            let larger = libc::realloc((*stats).base.cast(), size);
            if larger.is_null() {
                return -1;
            }
            (*stats).base = larger.cast();
            (*stats).size = size;
        }
        std::ptr::copy_nonoverlapping(more.as_ptr(), (*stats).base.add(pos).cast(), more.len());
        (*stats).pos = needed as libc::off_t;
        0
    }
}

/// A text of JSON, with its quotes.
fn quoted(text: &[u8]) -> String {
    serde_json::to_string(&String::from_utf8_lossy(text)).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_stats_new(chunk: usize) -> *mut UwsgiStats {
    let stats = uwsgi_calloc(size_of::<UwsgiStats>()).cast::<UwsgiStats>();
    // SAFETY: new, zeroed, and ours; zero is valid.
    unsafe {
        (*stats).chunk = chunk;
        add(stats, b"{");
    }
    stats
}

/// Functions that add a sign.
macro_rules! signs {
    ($($name:ident $sign:literal;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(stats: *mut UwsgiStats) -> c_int {
            // SAFETY: the header asks for a document of ours.
            unsafe { add(stats, $sign) }
        }
    )* };
}

signs! {
    uwsgi_stats_comma b",";
    uwsgi_stats_object_open b"{";
    uwsgi_stats_object_close b"}";
    uwsgi_stats_list_open b"[";
    uwsgi_stats_list_close b"]";
}

/// `"key":value` and what follows.
///
/// # Safety
/// `stats` is a document of ours, `key` NUL-terminated.
unsafe fn pair(stats: *mut UwsgiStats, key: *mut c_char, value: &str, behind: &str) -> c_int {
    // SAFETY: by the contract.
    unsafe { add(stats, format!("{}:{value}{behind}", quoted(text(key))).as_bytes()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_stats_key(stats: *mut UwsgiStats, key: *mut c_char) -> c_int {
    // SAFETY: the header asks for a document of ours and a NUL-terminated text.
    unsafe { pair(stats, key, "", "") }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_stats_str(stats: *mut UwsgiStats, value: *mut c_char) -> c_int {
    // SAFETY: as above.
    unsafe { add(stats, quoted(text(value)).as_bytes()) }
}

/// Functions that add a key with a value of some kind.
macro_rules! pairs {
    ($($name:ident($($value:ident: $type:ty),*) $shown:expr, $behind:literal;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(stats: *mut UwsgiStats, key: *mut c_char, $($value: $type),*) -> c_int {
            // SAFETY: the header asks for a document of ours and NUL-terminated texts, or texts with their length.
            unsafe { pair(stats, key, &$shown, $behind) }
        }
    )* };
}

pairs! {
    uwsgi_stats_keyval(value: *mut c_char) quoted(text(value)), "";
    uwsgi_stats_keyval_comma(value: *mut c_char) quoted(text(value)), ",";
    uwsgi_stats_keyvaln(value: *mut c_char, len: c_int) quoted(bytes(value, len)), "";
    uwsgi_stats_keyvaln_comma(value: *mut c_char, len: c_int) quoted(bytes(value, len)), ",";
    uwsgi_stats_keylong(value: u64) value.to_string(), "";
    uwsgi_stats_keylong_comma(value: u64) value.to_string(), ",";
    uwsgi_stats_keyslong(value: i64) value.to_string(), "";
    uwsgi_stats_keyslong_comma(value: i64) value.to_string(), ",";
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_dyn_dict_new(
    list: *mut *mut UwsgiDynDict,
    key: *mut c_char,
    keylen: c_int,
    value: *mut c_char,
    vallen: c_int,
) -> *mut UwsgiDynDict {
    let node = uwsgi_calloc(size_of::<UwsgiDynDict>()).cast::<UwsgiDynDict>();
    // SAFETY: the list's nodes are ours or NULL; the node is new and zeroed.
    unsafe {
        ((*node).key, (*node).keylen) = (key, keylen);
        ((*node).value, (*node).vallen) = (value, vallen);
        let (mut place, mut before) = (list, null_mut());
        while !(*place).is_null() {
            before = *place;
            place = &raw mut (**place).next;
        }
        (*node).prev = before;
        *place = node;
    }
    node
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_dyn_dict_del(node: *mut UwsgiDynDict) {
    // SAFETY: the header asks for a node of a list, which nobody else uses now.
    unsafe {
        if !(*node).prev.is_null() {
            (*(*node).prev).next = (*node).next;
        }
        if !(*node).next.is_null() {
            (*(*node).next).prev = (*node).prev;
        }
        libc::free(node.cast());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_grows_and_is_json() {
        // SAFETY: constant texts and a document of ours.
        let made = unsafe {
            let key = |text: &std::ffi::CStr| text.as_ptr().cast_mut();
            let stats = uwsgi_stats_new(8);
            uwsgi_stats_keyval_comma(stats, key(c"a\"b"), key(c"line\n"));
            uwsgi_stats_key(stats, key(c"list"));
            uwsgi_stats_list_open(stats);
            uwsgi_stats_str(stats, key(c"one"));
            uwsgi_stats_comma(stats);
            uwsgi_stats_object_open(stats);
            uwsgi_stats_keyslong(stats, key(c"n"), -3);
            uwsgi_stats_object_close(stats);
            uwsgi_stats_list_close(stats);
            uwsgi_stats_comma(stats);
            uwsgi_stats_keyvaln_comma(stats, key(c"cut"), key(c"abc"), 2);
            uwsgi_stats_keylong(stats, key(c"m"), u64::MAX);
            uwsgi_stats_object_close(stats);
            let made = bytes((*stats).base, (*stats).pos).to_vec();
            libc::free((*stats).base.cast());
            libc::free(stats.cast());
            made
        };
        let made: serde_json::Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["a\"b"], "line\n");
        assert_eq!(made["list"][1]["n"], -3);
        assert_eq!((made["cut"].as_str(), made["m"].as_u64()), (Some("ab"), Some(u64::MAX)));
    }

    #[test]
    fn lists_with_keys_lose_their_nodes() {
        let mut head = null_mut();
        // SAFETY: a list of ours.
        unsafe {
            let key = c"k".as_ptr().cast_mut();
            let one = uwsgi_dyn_dict_new(&mut head, key, 1, null_mut(), 0);
            let two = uwsgi_dyn_dict_new(&mut head, key, 1, null_mut(), 0);
            let three = uwsgi_dyn_dict_new(&mut head, key, 1, null_mut(), 0);
            assert_eq!(((*one).next, (*two).prev, (*three).prev), (two, one, two));
            uwsgi_dyn_dict_del(two);
            assert_eq!(((*one).next, (*three).prev), (three, one));
            uwsgi_dyn_dict_del(three);
            uwsgi_dyn_dict_del(one);
        }
    }
}
