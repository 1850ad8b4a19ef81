//! Numbers as text and bytes, and the clock.

use super::{bytes, string::new_text, text};
use std::ffi::{c_char, c_int};

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_num2str(n: c_int) -> *mut c_char {
    new_text(n.to_string().as_bytes())
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_64bit2str(n: i64) -> *mut c_char {
    new_text(n.to_string().as_bytes())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_num2str2(n: c_int, buf: *mut c_char) -> c_int {
    // SAFETY: the header asks for 12 bytes.
    unsafe { uwsgi_num2str2n(n, buf, 12) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_num2str2n(n: c_int, buf: *mut c_char, size: c_int) -> c_int {
    let digits = n.to_string();
    let room = usize::try_from(size).unwrap_or(0);
    if room > 0 {
        let len = digits.len().min(room - 1);
        // SAFETY: at most `size` bytes are written.
        unsafe {
            std::ptr::copy_nonoverlapping(digits.as_ptr(), buf.cast(), len);
            *buf.add(len) = 0;
        }
    }
    digits.len() as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str_num(a: *mut c_char, len: c_int) -> u64 {
    // SAFETY: the header asks for a pointer with its length.
    digits(unsafe { bytes(a, len) })
}

/// The value of the leading digits, saturating.
fn digits(data: &[u8]) -> u64 {
    data.iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str2_num(a: *mut c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated text.
    digits(unsafe { text(a) }.get(..2).unwrap_or_default()) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_str4_num(a: *mut c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated text.
    digits(unsafe { text(a) }.get(..4).unwrap_or_default()) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_be16(a: *mut c_char) -> u16 {
    // SAFETY: the header asks for two bytes.
    u16::from_be_bytes(unsafe { a.cast::<[u8; 2]>().read_unaligned() })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_be32(a: *mut c_char) -> u32 {
    // SAFETY: the header asks for four bytes.
    u32::from_be_bytes(unsafe { a.cast::<[u8; 4]>().read_unaligned() })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_be64(a: *mut c_char) -> u64 {
    // SAFETY: the header asks for eight bytes.
    u64::from_be_bytes(unsafe { a.cast::<[u8; 8]>().read_unaligned() })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_uuid(buf37: *mut c_char) {
    let mut raw = [0u8; 16];
    // SAFETY: the buffer is ours and 16 bytes long; getrandom of so few never fails once the system runs.
    unsafe { libc::getrandom(raw.as_mut_ptr().cast(), raw.len(), 0) };
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    let mut out = String::with_capacity(37);
    for (i, b) in raw.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{b:02x}"));
    }
    out.push('\0');
    // SAFETY: the header asks for 37 bytes.
    unsafe { std::ptr::copy_nonoverlapping(out.as_ptr(), buf37.cast(), 37) }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_is_again() -> c_int {
    let again = [libc::EAGAIN, libc::EINPROGRESS];
    c_int::from(
        std::io::Error::last_os_error()
            .raw_os_error()
            .is_some_and(|e| again.contains(&e)),
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_now() -> libc::time_t {
    (uwsgi_micros() / 1_000_000) as libc::time_t
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_micros() -> u64 {
    crate::clock::now().as_micros() as u64
}
