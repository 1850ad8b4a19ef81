//! Areas of raw memory that all processes share (`--sharedarea`), each with a lock of its own. Numbers in them are read
//! and written in the byte order of the machine; nothing outside of an area is ever touched.

use crate::locks;
use crate::settings::Settings;
use crate::shared::lock::{NotTaken, SharedLock};
use crate::shared::region::Region;
use rsgi_plugin_api::abi::{UwsgiLockItem, UwsgiSharedarea};
use std::sync::{Mutex, PoisonError, RwLock};

/// An area.
#[derive(Clone, Copy)]
pub struct Area {
    /// Its first byte.
    pub base: *mut u8,
    /// Its bytes.
    pub size: usize,
    /// Its lock, as plugins see it.
    pub item: *mut UwsgiLockItem,
}

// SAFETY: an address that is valid in all threads; bytes are touched under the lock.
unsafe impl Send for Area {}
// SAFETY: as above.
unsafe impl Sync for Area {}

static AREAS: RwLock<Vec<Area>> = RwLock::new(Vec::new());

/// An area by its number, from 0.
pub fn area(number: i32) -> Option<Area> {
    let areas = AREAS.read().unwrap_or_else(PoisonError::into_inner);
    areas.get(usize::try_from(number).ok()?).copied()
}

/// One more area; its number.
pub fn add(base: *mut u8, size: usize) -> nix::Result<i32> {
    let mut areas = AREAS.write().unwrap_or_else(PoisonError::into_inner);
    let number = areas.len();
    let item = locks::make(&format!("sharedarea{number}"), true)?;
    areas.push(Area { base, size, item });
    Ok(number as i32)
}

/// The record that plugins have of an area.
struct Record(*mut UwsgiSharedarea);

// SAFETY: records live as long as the process, and what is in them is the plugins' affair.
unsafe impl Send for Record {}

/// The record of an area, made when somebody asks.
pub fn record(id: i32, area: &Area) -> *mut UwsgiSharedarea {
    static RECORDS: Mutex<Vec<Record>> = Mutex::new(Vec::new());
    let mut records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: records are never freed.
    if let Some(known) = records.iter().find(|r| unsafe { (*r.0).id == id }) {
        return known.0;
    }
    let made = Box::into_raw(Box::new(UwsgiSharedarea {
        id,
        pages: area.size.div_ceil(4096) as i32,
        fd: -1,
        lock: area.item,
        area: area.base.cast(),
        max_pos: (area.size as u64).saturating_sub(1),
        updates: 0,
        honour_used: 0,
        used: 0,
        obj: std::ptr::null_mut(),
    }));
    records.push(Record(made));
    made
}

/// Makes the areas; in the start. Over a reload an area of the same size keeps what is in it.
///
/// # Errors
/// The system has no memory for one: a line for the operator.
pub fn prepare(settings: &Settings) -> Result<(), String> {
    for (number, size) in settings.storage.shared_areas.iter().enumerate() {
        let size = usize::try_from(*size).unwrap_or(usize::MAX);
        let made = Region::open(&format!("sharedarea {number} {size}"), size).and_then(|r| add(r.base, size));
        made.map_err(|e| format!("sharedarea {number}: no memory for {size} bytes: {}", e.desc()))?;
    }
    Ok(())
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such area, or not so many bytes in it")]
pub struct Outside;

impl Area {
    /// The lock.
    pub fn lock(&self) -> Option<&'static SharedLock> {
        // SAFETY: a record of ours.
        unsafe { locks::of(self.item) }
    }

    /// Does something with the bytes from `at` on, `len` of them, under the lock; a thread that holds it already goes
    /// on.
    ///
    /// # Errors
    /// They are not all inside.
    pub fn with<T>(&self, at: u64, len: u64, work: impl FnOnce(*mut u8) -> T) -> Result<T, Outside> {
        let end = at.checked_add(len).ok_or(Outside)?;
        if end > self.size as u64 {
            return Err(Outside);
        }
        let taken = self.lock().map(|lock| (lock, lock.lock()));
        // SAFETY: inside the area.
        let done = work(unsafe { self.base.add(at as usize) });
        if let Some((lock, Ok(_))) = taken {
            lock.unlock();
        } else {
            debug_assert!(matches!(taken, Some((_, Err(NotTaken::HeldByThisThread)))));
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let mut bytes = [7u8; 16];
        let number = add(bytes.as_mut_ptr(), 8).unwrap();
        let a = area(number).unwrap();
        // SAFETY: the closure gets the address of as many bytes as were asked for.
        let fill = |at, len| a.with(at, len, |p| unsafe { p.write_bytes(1, len as usize) });
        assert_eq!(fill(0, 8), Ok(()));
        for (at, len) in [(0, 9), (8, 1), (9, 0), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(fill(at, len), Err(Outside), "{at} {len}");
        }
        assert_eq!(fill(8, 0), Ok(()));
        assert_eq!(bytes[7..10], [1, 7, 7]);
        assert!(area(-1).is_none() && area(number + 1).is_none());
        let lock = a.lock().unwrap();
        lock.lock().unwrap();
        assert_eq!(fill(0, 1), Ok(()), "who holds the lock goes on");
        assert!(lock.unlock());
    }
}
