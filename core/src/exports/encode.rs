//! Texts in other forms: base64, URLs, dates, parts of texts.

use super::bytes;
use super::memory::copy;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::time::{Duration, UNIX_EPOCH};

/// What is sent in headers comes with padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_base64_decode(data: *mut c_char, len: usize, size: *mut usize) -> *mut c_char {
    // SAFETY: the header asks for bytes with their length and a place.
    unsafe {
        let Ok(decoded) = LENIENT.decode(bytes(data, len)) else {
            return null_mut();
        };
        *size = decoded.len();
        copy(&decoded)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_base64_encode(data: *mut c_char, len: usize, size: *mut usize) -> *mut c_char {
    // SAFETY: as above.
    unsafe {
        let encoded = STANDARD.encode(bytes(data, len));
        *size = encoded.len();
        copy(encoded.as_bytes())
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|n| n as u8)
}

/// `%41` is `A`, `+` a space.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = match text[at..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            None => {
                out.push(if text[at] == b'+' { b' ' } else { text[at] });
                at += 1;
            }
        }
    }
    out
}

/// All but letters, digits and `-_.~` become `%XX`.
fn encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        match b {
            b'-' | b'_' | b'.' | b'~' => out.push(*b),
            b if b.is_ascii_alphanumeric() => out.push(*b),
            b => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
        }
    }
    out
}

/// Writes what became of a text, and its length.
///
/// # Safety
/// `len` and `dst` are places, the latter large enough.
unsafe fn write(out: &[u8], len: *mut u16, dst: *mut c_char) {
    // SAFETY: by the contract.
    unsafe {
        let size = out.len().min(usize::from(u16::MAX));
        std::ptr::copy_nonoverlapping(out.as_ptr(), dst.cast(), size);
        *len = size as u16;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn http_url_decode(text: *mut c_char, len: *mut u16, dst: *mut c_char) {
    // SAFETY: the header asks for a text with its length and room for as much.
    unsafe { write(&decode(bytes(text, *len)), len, dst) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn http_url_encode(text: *mut c_char, len: *mut u16, dst: *mut c_char) {
    // SAFETY: the header asks for a text with its length and room for three times as much.
    unsafe { write(&encode(bytes(text, *len)), len, dst) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_http_date(seconds: libc::time_t, dst: *mut c_char) -> c_int {
    let at = UNIX_EPOCH + Duration::from_secs(seconds.max(0).unsigned_abs());
    let text = httpdate::fmt_http_date(at);
    // SAFETY: the header asks for 31 bytes, and a date has 29.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), dst.cast(), text.len());
        *dst.add(text.len()) = 0;
    }
    text.len() as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_lower(text: *mut c_char, len: usize) -> *mut c_char {
    if len > 0 {
        // SAFETY: the header asks for a text with its length.
        unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), len) }.make_ascii_lowercase();
    }
    text
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str_contains(text: *mut c_char, len: c_int, what: c_char) -> *mut c_char {
    // SAFETY: the header asks for a text with its length.
    let at = unsafe { bytes(text, len) }.iter().position(|b| *b == what as u8);
    // SAFETY: inside the text.
    at.map_or(null_mut(), |at| unsafe { text.add(at) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str_occurence(text: *mut c_char, len: usize, what: c_char) -> usize {
    // SAFETY: as above.
    unsafe { bytes(text, len) }.iter().filter(|b| **b == what as u8).count()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str_split_nget(
    text: *mut c_char,
    len: usize,
    separator: c_char,
    number: usize,
    size: *mut usize,
) -> *mut c_char {
    // SAFETY: the header asks for a text with its length and a place.
    unsafe {
        let mut parts = bytes(text, len).split(|b| *b == separator as u8);
        let Some(part) = parts.nth(number) else {
            return null_mut();
        };
        *size = part.len();
        part.as_ptr().cast_mut().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_decoded_as_far_as_they_are_escaped() {
        assert_eq!(decode(b"a%20b+c%2"), b"a b c%2");
        assert_eq!(decode(b"%zz%41"), b"%zzA");
        assert_eq!(encode(b"a b/~"), b"a%20b%2F~");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&text)), text);
        }
    }
}
