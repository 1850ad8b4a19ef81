//! Strings: new ones are the caller's, released with `free()`.

use super::{bytes, memory::uwsgi_malloc, text};
use std::ffi::{c_char, c_int};

/// A new NUL-terminated copy of the parts, one after the other.
fn joined(parts: &[&[u8]]) -> *mut c_char {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let out = uwsgi_malloc(len + 1).cast::<u8>();
    let mut at = 0;
    for part in parts {
        // SAFETY: `out` has room for all parts and the NUL.
        unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), out.add(at), part.len()) };
        at += part.len();
    }
    // SAFETY: as above; `at` is `len`.
    unsafe { *out.add(at) = 0 };
    out.cast()
}

/// A new C copy of bytes, for other exports that give strings away.
pub(super) fn new_text(part: &[u8]) -> *mut c_char {
    joined(&[part])
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_open_and_read(
    url: *mut c_char,
    size: *mut usize,
    add_zero: c_int,
    _magic_table: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: the header asks for a NUL-terminated text.
    let name = String::from_utf8_lossy(unsafe { text(url) }).into_owned();
    match crate::config::scheme::read_bytes(&name) {
        Ok(content) => {
            if !size.is_null() {
                // SAFETY: the header asks for a writable place.
                unsafe { *size = content.len() + usize::from(add_zero != 0) };
            }
            new_text(&content)
        }
        Err(e) => {
            crate::say!("cannot read {name}: {e}");
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat2(a: *mut c_char, b: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for NUL-terminated texts.
    unsafe { joined(&[text(a), text(b)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat3(a: *mut c_char, b: *mut c_char, c: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for NUL-terminated texts.
    unsafe { joined(&[text(a), text(b), text(c)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat4(a: *mut c_char, b: *mut c_char, c: *mut c_char, d: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for NUL-terminated texts.
    unsafe { joined(&[text(a), text(b), text(c), text(d)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat2n(a: *mut c_char, al: c_int, b: *mut c_char, bl: c_int) -> *mut c_char {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { joined(&[bytes(a, al), bytes(b, bl)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat3n(
    a: *mut c_char,
    al: c_int,
    b: *mut c_char,
    bl: c_int,
    c: *mut c_char,
    cl: c_int,
) -> *mut c_char {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { joined(&[bytes(a, al), bytes(b, bl), bytes(c, cl)]) }
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn uwsgi_concat4n(
    a: *mut c_char,
    al: c_int,
    b: *mut c_char,
    bl: c_int,
    c: *mut c_char,
    cl: c_int,
    d: *mut c_char,
    dl: c_int,
) -> *mut c_char {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { joined(&[bytes(a, al), bytes(b, bl), bytes(c, cl), bytes(d, dl)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_strncopy(a: *mut c_char, len: c_int) -> *mut c_char {
    // SAFETY: the header asks for a pointer with its length.
    unsafe { joined(&[bytes(a, len)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_startswith(a: *mut c_char, prefix: *mut c_char, len: c_int) -> c_int {
    // SAFETY: the header asks for a NUL-terminated text and a prefix with its length.
    unsafe { c_int::from(!text(a).starts_with(bytes(prefix, len))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_starts_with(a: *mut c_char, len: c_int, prefix: *mut c_char, plen: c_int) -> c_int {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { c_int::from(!bytes(a, len).starts_with(bytes(prefix, plen))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_endswith(a: *mut c_char, suffix: *mut c_char) -> c_int {
    // SAFETY: the header asks for NUL-terminated texts.
    unsafe { c_int::from(text(a).ends_with(text(suffix))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_strncmp(a: *mut c_char, al: c_int, b: *mut c_char, bl: c_int) -> c_int {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { c_int::from(bytes(a, al) != bytes(b, bl)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_strnicmp(a: *mut c_char, al: c_int, b: *mut c_char, bl: c_int) -> c_int {
    // SAFETY: the header asks for pointers with their lengths.
    unsafe { c_int::from(!bytes(a, al).eq_ignore_ascii_case(bytes(b, bl))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_contains_n(a: *mut c_char, al: usize, b: *mut c_char, bl: usize) -> c_int {
    // SAFETY: the header asks for pointers with their lengths.
    let (a, b) = unsafe { (bytes(a, al), bytes(b, bl)) };
    c_int::from(!b.is_empty() && a.windows(b.len()).any(|w| w == b))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_last_char(a: *mut c_char, what: c_char) -> *mut c_char {
    // SAFETY: the header asks for a NUL-terminated text.
    unsafe { uwsgi_get_last_charn(a, text(a).len(), what) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_last_charn(a: *mut c_char, len: usize, what: c_char) -> *mut c_char {
    // SAFETY: the header asks for a pointer with its length; the result points into it.
    unsafe {
        match bytes(a, len).iter().rposition(|b| *b == what as u8) {
            Some(at) => a.add(at),
            None => std::ptr::null_mut(),
        }
    }
}

/// Cuts at the first `N - 1` separators and writes the parts' places.
///
/// # Safety
/// `a` points at `len` bytes; every pair of `out` is writable.
unsafe fn split<const N: usize>(
    a: *mut c_char,
    len: usize,
    separator: c_char,
    out: [(*mut *mut c_char, *mut usize); N],
) -> *mut c_char {
    // SAFETY: by the contract.
    let data = unsafe { bytes(a, len) };
    let mut parts = data.splitn(N, |b| *b == separator as u8);
    let mut last = std::ptr::null_mut();
    for (place, size) in out {
        let Some(part) = parts.next() else {
            return std::ptr::null_mut();
        };
        last = part.as_ptr().cast_mut().cast();
        // SAFETY: by the contract.
        unsafe {
            *place = last;
            *size = part.len();
        }
    }
    last
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn uwsgi_split3(
    a: *mut c_char,
    len: usize,
    sep: c_char,
    p1: *mut *mut c_char,
    l1: *mut usize,
    p2: *mut *mut c_char,
    l2: *mut usize,
    p3: *mut *mut c_char,
    l3: *mut usize,
) -> *mut c_char {
    // SAFETY: the header asks for a pointer with its length and writable places.
    unsafe { split(a, len, sep, [(p1, l1), (p2, l2), (p3, l3)]) }
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn uwsgi_split4(
    a: *mut c_char,
    len: usize,
    sep: c_char,
    p1: *mut *mut c_char,
    l1: *mut usize,
    p2: *mut *mut c_char,
    l2: *mut usize,
    p3: *mut *mut c_char,
    l3: *mut usize,
    p4: *mut *mut c_char,
    l4: *mut usize,
) -> *mut c_char {
    // SAFETY: the header asks for a pointer with its length and writable places.
    unsafe { split(a, len, sep, [(p1, l1), (p2, l2), (p3, l3), (p4, l4)]) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_split_quoted(
    a: *mut c_char,
    len: usize,
    separators: *mut c_char,
    count: *mut usize,
) -> *mut *mut c_char {
    // SAFETY: the header asks for a pointer with its length and a NUL-terminated set.
    let words = unsafe { split_quoted(bytes(a, len), text(separators)) };
    let out = uwsgi_malloc((words.len() + 1) * size_of::<*mut c_char>()).cast::<*mut c_char>();
    for (i, word) in words.iter().enumerate() {
        // SAFETY: room for all words and a final NULL was allocated.
        unsafe { *out.add(i) = new_text(word) };
    }
    // SAFETY: as above; `count` is writable by the header.
    unsafe {
        *out.add(words.len()) = std::ptr::null_mut();
        *count = words.len();
    }
    out
}

/// Splits at each separator outside of single or double quotes, behind the last one only if something is there; a backslash
/// takes the next byte as it is.
fn split_quoted(data: &[u8], separators: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quote, mut in_word) = (Vec::new(), Vec::new(), None, false);
    let mut rest = data.iter().copied();
    while let Some(b) = rest.next() {
        match quote {
            _ if b == b'\\' => {
                word.extend(rest.next());
                in_word = true;
            }
            Some(q) if b == q => quote = None,
            None if b == b'"' || b == b'\'' => (quote, in_word) = (Some(b), true),
            None if separators.contains(&b) => {
                in_word = false;
                words.push(std::mem::take(&mut word));
            }
            _ => {
                word.push(b);
                in_word = true;
            }
        }
    }
    if in_word {
        words.push(word);
    }
    words
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn escape_json(src: *mut c_char, len: usize, dst: *mut c_char) {
    // SAFETY: the header asks for a source with its length and 2 * len + 1 bytes of room.
    unsafe {
        let mut at = dst.cast::<u8>();
        for b in bytes(src, len) {
            let short = match b {
                b'\t' => b't',
                b'\n' => b'n',
                b'\r' => b'r',
                b'"' => b'"',
                b'\\' => b'\\',
                // two bytes of room do not hold \u00XX: other control characters become a space
                0..=31 => {
                    *at = b' ';
                    at = at.add(1);
                    continue;
                }
                other => {
                    *at = *other;
                    at = at.add(1);
                    continue;
                }
            };
            *at = b'\\';
            *at.add(1) = short;
            at = at.add(2);
        }
        *at = 0;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn escape_shell_arg(src: *mut c_char, len: usize, dst: *mut c_char) {
    // SAFETY: the header asks for a source with its length and 3 * len + 3 bytes of room; no byte becomes more than three.
    unsafe {
        let mut at = dst.cast::<u8>();
        let mut put = |b: u8| {
            *at = b;
            at = at.add(1);
        };
        for b in bytes(src, len) {
            if b.is_ascii_alphanumeric() || b"-_./,:@+=%".contains(b) {
                put(*b);
            } else if *b == b'\n' {
                put(b'\'');
                put(b'\n');
                put(b'\'');
            } else {
                put(b'\\');
                put(*b);
            }
        }
        put(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_keep_their_separators() {
        assert_eq!(
            split_quoted(br#"a 'b c'  "d e"\ f g"#, b" \t"),
            [&b"a"[..], b"b c", b"", b"d e f", b"g"].map(<[u8]>::to_vec)
        );
        assert_eq!(split_quoted(b"''", b" "), [b"".to_vec()]);
        assert_eq!(split_quoted(b"::a:", b":"), [&b""[..], b"", b"a"].map(<[u8]>::to_vec));
        assert!(split_quoted(b"", b" ").is_empty());
    }

    #[test]
    fn json_is_escaped_within_its_room() {
        let src = b"a\"b\\c\n\x01d";
        let mut dst = [0xffu8; 2 * 9 + 1];
        // SAFETY: `dst` has 2 * len + 1 bytes.
        unsafe { escape_json(src.as_ptr().cast_mut().cast(), src.len(), dst.as_mut_ptr().cast()) };
        let end = dst.iter().position(|b| *b == 0).unwrap();
        assert_eq!(&dst[..end], b"a\\\"b\\\\c\\n d");
    }

    #[test]
    fn three_parts_or_none() {
        let data = b"a,bb,c,d";
        let (mut p, mut l) = ([std::ptr::null_mut(); 3], [0usize; 3]);
        let [p1, p2, p3] = &mut p;
        let [l1, l2, l3] = &mut l;
        // SAFETY: places are writable, the text outlives the call.
        let last = unsafe {
            split(
                data.as_ptr().cast_mut().cast(),
                data.len(),
                b',' as c_char,
                [(p1 as *mut _, l1 as *mut _), (p2, l2), (p3, l3)],
            )
        };
        assert!(!last.is_null());
        assert_eq!(l, [1, 2, 3]);
    }
}
