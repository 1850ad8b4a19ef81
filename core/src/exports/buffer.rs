//! `struct uwsgi_buffer`: a growing byte buffer in C memory, so that either side may read it.

use super::{bytes, memory::uwsgi_calloc, text};
use rsgi_plugin_api::abi::UwsgiBuffer;
use std::ffi::{c_char, c_int, c_void};

const OK: c_int = 0;
const FULL: c_int = -1;

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_buffer_new(size: usize) -> *mut UwsgiBuffer {
    let buffer = uwsgi_calloc(size_of::<UwsgiBuffer>()).cast::<UwsgiBuffer>();
    // SAFETY: the struct was just allocated and zeroed.
    unsafe {
        if size > 0 {
            (*buffer).buf = uwsgi_calloc(size).cast();
            (*buffer).len = size;
        }
    }
    buffer
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_destroy(buffer: *mut UwsgiBuffer) {
    if buffer.is_null() {
        return;
    }
    // SAFETY: both came from uwsgi_buffer_new.
    unsafe {
        libc::free((*buffer).buf.cast());
        libc::free(buffer.cast());
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_fix(buffer: *mut UwsgiBuffer, len: usize) -> c_int {
    // SAFETY: `buffer` is a live buffer by the header.
    let b = unsafe { &mut *buffer };
    if b.limit > 0 && len > b.limit {
        return FULL;
    }
    if len <= b.len {
        return OK;
    }
    let mut wanted = len.max(b.len.saturating_mul(2)).max(64);
    if b.limit > 0 {
        wanted = wanted.min(b.limit);
    }
    // SAFETY: `buf` is NULL or came from malloc.
    let grown = unsafe { libc::realloc(b.buf.cast::<c_void>(), wanted) };
    if grown.is_null() {
        crate::log::line(&format!("out of memory: a buffer of {wanted} bytes"));
        return FULL;
    }
    b.buf = grown.cast();
    b.len = wanted;
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_ensure(buffer: *mut UwsgiBuffer, len: usize) -> c_int {
    // SAFETY: `buffer` is a live buffer by the header.
    unsafe {
        match (*buffer).pos.checked_add(len) {
            Some(need) => uwsgi_buffer_fix(buffer, need),
            None => FULL,
        }
    }
}

/// Appends bytes of ours.
///
/// # Safety
/// `buffer` is a live buffer.
unsafe fn put(buffer: *mut UwsgiBuffer, data: &[u8]) -> c_int {
    // SAFETY: by the contract; the room was made first.
    unsafe {
        if uwsgi_buffer_ensure(buffer, data.len()) != OK {
            return FULL;
        }
        std::ptr::copy_nonoverlapping(data.as_ptr(), (*buffer).buf.add((*buffer).pos).cast(), data.len());
        (*buffer).pos += data.len();
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append(buffer: *mut UwsgiBuffer, data: *mut c_char, len: usize) -> c_int {
    // SAFETY: by the header.
    unsafe { put(buffer, bytes(data, len)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_json(buffer: *mut UwsgiBuffer, data: *mut c_char, len: usize) -> c_int {
    let mut out = Vec::with_capacity(len + 8);
    // SAFETY: by the header.
    for b in unsafe { bytes(data, len) } {
        match b {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0..=31 => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
            other => out.push(*other),
        }
    }
    // SAFETY: by the header.
    unsafe { put(buffer, &out) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_insert(
    buffer: *mut UwsgiBuffer,
    at: usize,
    data: *mut c_char,
    len: usize,
) -> c_int {
    // SAFETY: by the header; the tail is moved inside the room that was made.
    unsafe {
        if at > (*buffer).pos || uwsgi_buffer_ensure(buffer, len) != OK {
            return FULL;
        }
        let place = (*buffer).buf.add(at);
        std::ptr::copy(place, place.add(len), (*buffer).pos - at);
        std::ptr::copy_nonoverlapping(data, place, len);
        (*buffer).pos += len;
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_insert_chunked(buffer: *mut UwsgiBuffer, at: usize, len: usize) -> c_int {
    let head = format!("{len:X}\r\n");
    // SAFETY: by the header.
    unsafe { uwsgi_buffer_insert(buffer, at, head.as_ptr().cast_mut().cast(), head.len()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_chunked(buffer: *mut UwsgiBuffer, len: usize) -> c_int {
    // SAFETY: by the header.
    unsafe { put(buffer, format!("{len:X}\r\n").as_bytes()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_decapitate(buffer: *mut UwsgiBuffer, len: usize) -> c_int {
    // SAFETY: by the header; the copy stays inside what is in use.
    unsafe {
        if len > (*buffer).pos {
            return FULL;
        }
        std::ptr::copy((*buffer).buf.add(len), (*buffer).buf, (*buffer).pos - len);
        (*buffer).pos -= len;
    }
    OK
}

/// One export per number type.
macro_rules! put_number {
    ($($name:ident($value:ident: $type:ty) => $bytes:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(buffer: *mut UwsgiBuffer, $value: $type) -> c_int {
            // SAFETY: by the header.
            unsafe { put(buffer, &$bytes) }
        }
    )* };
}

put_number! {
    uwsgi_buffer_byte(v: c_char) => [v as u8];
    uwsgi_buffer_u8(v: u8) => [v];
    uwsgi_buffer_u16le(v: u16) => v.to_le_bytes();
    uwsgi_buffer_u16be(v: u16) => v.to_be_bytes();
    uwsgi_buffer_u24be(v: u32) => v.to_be_bytes()[1..];
    uwsgi_buffer_u32le(v: u32) => v.to_le_bytes();
    uwsgi_buffer_u32be(v: u32) => v.to_be_bytes();
    uwsgi_buffer_u64le(v: u64) => v.to_le_bytes();
    uwsgi_buffer_u64be(v: u64) => v.to_be_bytes();
    uwsgi_buffer_f32be(v: f32) => v.to_be_bytes();
    uwsgi_buffer_f64be(v: f64) => v.to_be_bytes();
    uwsgi_buffer_num64(v: i64) => *v.to_string().as_bytes();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_keyval(
    buffer: *mut UwsgiBuffer,
    key: *mut c_char,
    keylen: u16,
    val: *mut c_char,
    vallen: u16,
) -> c_int {
    // SAFETY: by the header.
    unsafe {
        put_all(
            buffer,
            &[
                &keylen.to_le_bytes(),
                bytes(key, keylen),
                &vallen.to_le_bytes(),
                bytes(val, vallen),
            ],
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_keyval32(
    buffer: *mut UwsgiBuffer,
    key: *mut c_char,
    keylen: u32,
    val: *mut c_char,
    vallen: u32,
) -> c_int {
    // SAFETY: by the header.
    unsafe {
        put_all(
            buffer,
            &[
                &keylen.to_be_bytes(),
                bytes(key, keylen),
                &vallen.to_be_bytes(),
                bytes(val, vallen),
            ],
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_keynum(
    buffer: *mut UwsgiBuffer,
    key: *mut c_char,
    keylen: u16,
    number: i64,
) -> c_int {
    let digits = number.to_string();
    // SAFETY: by the header.
    unsafe {
        let size = (digits.len() as u16).to_le_bytes();
        put_all(
            buffer,
            &[&keylen.to_le_bytes(), bytes(key, keylen), &size, digits.as_bytes()],
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_append_valnum(buffer: *mut UwsgiBuffer, number: i64) -> c_int {
    let digits = number.to_string();
    // SAFETY: by the header.
    unsafe { put_all(buffer, &[&(digits.len() as u16).to_le_bytes(), digits.as_bytes()]) }
}

/// Appends all parts or none.
///
/// # Safety
/// `buffer` is a live buffer.
unsafe fn put_all(buffer: *mut UwsgiBuffer, parts: &[&[u8]]) -> c_int {
    // SAFETY: by the contract.
    unsafe {
        if uwsgi_buffer_ensure(buffer, parts.iter().map(|p| p.len()).sum()) != OK {
            return FULL;
        }
        for part in parts {
            put(buffer, part);
        }
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_set_uh(buffer: *mut UwsgiBuffer, modifier1: u8, modifier2: u8) -> c_int {
    // SAFETY: by the header; four bytes are checked to be there.
    unsafe {
        let Some(size) = (*buffer).pos.checked_sub(4).and_then(|n| u16::try_from(n).ok()) else {
            return FULL;
        };
        let [low, high] = size.to_le_bytes();
        (*buffer).buf.cast::<[u8; 4]>().write([modifier1, low, high, modifier2]);
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_send(buffer: *mut UwsgiBuffer, fd: c_int) -> c_int {
    // SAFETY: by the header.
    unsafe { super::socket::uwsgi_write_nb(fd, (*buffer).buf, (*buffer).pos, crate::server::socket_timeout()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_map(buffer: *mut UwsgiBuffer, data: *mut c_char, len: usize) {
    // SAFETY: by the header.
    unsafe {
        libc::free((*buffer).buf.cast());
        (*buffer).buf = data;
        (*buffer).len = len;
        (*buffer).pos = len;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_buffer_from_file(file: *mut c_char) -> *mut UwsgiBuffer {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: the header asks for a NUL-terminated name.
    let name = std::ffi::OsStr::from_bytes(unsafe { text(file) });
    let Ok(data) = std::fs::read(name) else {
        return std::ptr::null_mut();
    };
    of(&data)
}

/// A new buffer with these bytes.
pub(super) fn of(data: &[u8]) -> *mut UwsgiBuffer {
    let buffer = uwsgi_buffer_new(data.len());
    // SAFETY: the buffer is new.
    unsafe { put(buffer, data) };
    buffer
}
