//! Caches for plugins written in Rust. A cache is named as everywhere: `name` in this instance, `name@address` in
//! another one, nothing for the first; a name or key that no cache can have is like one that is not there.

use crate::{HookError, sys, text};
use std::ffi::{CString, c_char, c_void};

/// Values up to this length are read in one go.
const AT_ONCE: usize = 1024;

// As uwsgi.h has them.
const UPDATE: u64 = 1 << 1;
const ABSEXPIRE: u64 = 1 << 3;
const MATH: u64 = 1 << 4;
const FIXEXPIRE: u64 = 1 << 9;

/// What is done to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of the field
pub enum Change {
    Inc = 1 << 5,
    Dec = 1 << 6,
    Mul = 1 << 7,
    Div = 1 << 8,
}

/// Which cache is meant: nothing is the first one of the instance.
#[derive(Debug, Clone)]
pub struct Cache(Option<CString>);

/// A key as the host takes its length; `None`: longer than any in a cache.
fn key_of(key: &[u8]) -> Option<(*mut c_char, u16)> {
    let len = u16::try_from(key.len()).ok()?;
    Some((key.as_ptr().cast_mut().cast(), len))
}

impl Cache {
    /// The cache of this name.
    ///
    /// # Errors
    /// The name contains a NUL.
    pub fn named(name: Option<&[u8]>) -> Result<Self, HookError> {
        let name = name.filter(|name| !name.is_empty());
        name.map(|name| text::to_host(name, "the cache's name"))
            .transpose()
            .map(Self)
    }

    fn as_ptr(&self) -> *mut c_char {
        self.0.as_ref().map_or(std::ptr::null_mut(), |n| n.as_ptr().cast_mut())
    }

    fn is_elsewhere(&self) -> bool {
        self.0.as_ref().is_some_and(|n| n.as_bytes().contains(&b'@'))
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.is_elsewhere() {
            let (key, key_len) = key_of(key)?;
            let mut len = 0;
            // SAFETY: key and name live during the call; the answer is ours.
            return unsafe {
                let value = sys::uwsgi_cache_magic_get(key, key_len, &mut len, std::ptr::null_mut(), self.as_ptr());
                text::from_host(value, len)
            };
        }
        let mut value = vec![0u8; AT_ONCE];
        loop {
            // SAFETY: key and name live during the call; the host writes at most so many bytes.
            let len = unsafe {
                let to = value.as_mut_ptr().cast();
                sys::rsgi_cache_get(key.as_ptr().cast(), key.len(), to, value.len(), self.as_ptr())
            };
            let len = usize::try_from(len).ok()?;
            let is_all = len <= value.len();
            value.resize(len, 0);
            if is_all {
                return Some(value);
            }
        }
    }

    /// The number of a key; `None`: there is none, or what is there is no number.
    pub fn number(&self, key: &[u8]) -> Option<i64> {
        self.get(key)?.try_into().ok().map(i64::from_le_bytes)
    }

    /// Puts a value in for so many seconds, 0: for ever; `replace`: also where one is. Whether that was done.
    pub fn set(&self, key: &[u8], value: &[u8], expires: i64, replace: bool) -> bool {
        let flags = if replace { UPDATE } else { 0 };
        match u64::try_from(expires) {
            Ok(expires) => self.put(key, value, expires, flags),
            // what has ended already is in no cache, and what was there before neither
            Err(_) => self.put(key, value, 1, flags | ABSEXPIRE),
        }
    }

    /// Changes a number, which begins as 0; `expires` 0: it ends when it would have ended. Whether that was done.
    pub fn change(&self, key: &[u8], change: Change, by: i64, expires: u64) -> bool {
        let flags = UPDATE | FIXEXPIRE | MATH | change as u64;
        self.put(key, &by.to_le_bytes(), expires, flags)
    }

    fn put(&self, key: &[u8], value: &[u8], expires: u64, flags: u64) -> bool {
        let Some((key, key_len)) = key_of(key) else {
            return false;
        };
        let (text, len) = (value.as_ptr().cast_mut().cast(), value.len() as u64);
        // SAFETY: key, value and name live during the call.
        unsafe { sys::uwsgi_cache_magic_set(key, key_len, text, len, expires, flags, self.as_ptr()) == 0 }
    }

    /// Takes a key out; whether it was there.
    pub fn del(&self, key: &[u8]) -> bool {
        // SAFETY: key and name live during the call.
        key_of(key).is_some_and(|(key, len)| unsafe { sys::uwsgi_cache_magic_del(key, len, self.as_ptr()) == 0 })
    }

    /// Whether a key is there.
    pub fn exists(&self, key: &[u8]) -> bool {
        // SAFETY: key and name live during the call.
        key_of(key).is_some_and(|(key, len)| unsafe { sys::uwsgi_cache_magic_exists(key, len, self.as_ptr()) != 0 })
    }

    /// Takes all keys out; whether there is such a cache.
    pub fn clear(&self) -> bool {
        // SAFETY: the name lives during the call.
        unsafe { sys::uwsgi_cache_magic_clear(self.as_ptr()) == 0 }
    }

    /// All keys of a cache of this instance; `None`: there is no such cache here.
    pub fn keys(&self) -> Option<Vec<Vec<u8>>> {
        unsafe extern "C" fn take(key: *const c_char, len: usize, keys: *mut c_void) {
            // SAFETY: the host's key of so many bytes, and the vector below.
            unsafe {
                let key = std::slice::from_raw_parts(key.cast::<u8>(), len);
                (*keys.cast::<Vec<Vec<u8>>>()).push(key.to_vec());
            }
        }
        let mut keys: Vec<Vec<u8>> = Vec::new();
        // SAFETY: name and vector live during the call.
        let rc = unsafe { sys::rsgi_cache_keys(self.as_ptr(), Some(take), (&raw mut keys).cast()) };
        (rc >= 0).then_some(keys)
    }
}
