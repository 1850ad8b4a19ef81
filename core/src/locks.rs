//! The locks of applications and plugins: `uwsgi.lock(n)`, and those that C plugins make. They are made in the start;
//! those of applications are handed to the next image, so that old and new workers exclude each other, too.

use crate::server::{keep, view};
use crate::settings::Settings;
use crate::shared::lock::SharedLock;
use crate::shared::region::Region;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use rsgi_plugin_api::abi::UwsgiLockItem;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

/// By it the next image finds the memory; another way to lay a lock out needs another name.
const NAME: &str = "locks of applications 1";

/// The records that C plugins see, in one piece for `uwsgi.user_lock`.
struct Items(Vec<*mut UwsgiLockItem>);

// SAFETY: the records are written in the single-threaded start only.
unsafe impl Send for Items {}
// SAFETY: as above.
unsafe impl Sync for Items {}

static USER: OnceLock<Items> = OnceLock::new();

/// Makes the locks of applications: number 0, and those of `--locks`. Before plugins see the configuration.
///
/// # Errors
/// The system has no memory, or no robust locks.
pub fn prepare(settings: &Settings) -> nix::Result<()> {
    let count = settings.processes.locks as usize + 1;
    let region = Region::open(NAME, count * size_of::<SharedLock>())?;
    let known = region.inherited / size_of::<SharedLock>();
    let mut items = Vec::with_capacity(count);
    for number in 0..count {
        // SAFETY: inside the region, which is aligned to a page and stays; what the image before made goes on, and
        // nobody uses what lies behind that yet.
        let lock = unsafe {
            let place = region.base.cast::<SharedLock>().add(number);
            match number < known {
                true => &*place,
                false => SharedLock::make(place)?,
            }
        };
        items.push(register(&format!("user {number}"), lock, false));
    }
    let items = USER.get_or_init(|| Items(items));
    // SAFETY: single-threaded start; the vector lives as long as the process.
    unsafe {
        (*view()).user_lock = items.0.as_ptr().cast_mut();
        (*view()).locks = settings.processes.locks as i32;
    }
    Ok(())
}

/// Makes a lock for a plugin, before the first fork.
///
/// # Errors
/// The system has no memory, or no robust locks.
pub fn make(name: &str, is_rw: bool) -> nix::Result<*mut UwsgiLockItem> {
    let size = NonZeroUsize::new(size_of::<SharedLock>()).ok_or(nix::Error::EINVAL)?;
    let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh page that is never unmapped.
    let lock = unsafe {
        let place = mmap_anonymous(None, size, flags, MapFlags::MAP_SHARED)?;
        SharedLock::make(place.as_ptr().cast())?
    };
    Ok(register(name, lock, is_rw))
}

/// A record of this process and those it forks, first in the list that plugins see.
fn register(name: &str, lock: &'static SharedLock, is_rw: bool) -> *mut UwsgiLockItem {
    // SAFETY: single-threaded start; records live as long as the process.
    unsafe {
        let item = Box::into_raw(Box::new(UwsgiLockItem {
            id: keep(name),
            lock_ptr: std::ptr::from_ref(lock).cast_mut().cast(),
            rw: i32::from(is_rw),
            pid: 0,
            can_deadlock: 0,
            next: (*view()).registered_locks,
        }));
        (*view()).registered_locks = item;
        item
    }
}

/// The lock behind a record.
///
/// # Safety
/// `item` is NULL or a record of ours.
pub unsafe fn of(item: *const UwsgiLockItem) -> Option<&'static SharedLock> {
    // SAFETY: by the contract; records and locks live as long as the process.
    unsafe { item.as_ref()?.lock_ptr.cast::<SharedLock>().as_ref() }
}

/// The locks of applications, by number.
pub fn of_applications() -> impl Iterator<Item = &'static SharedLock> {
    let items = USER.get().map_or(&[][..], |items| &items.0);
    // SAFETY: records that `prepare` made.
    items.iter().filter_map(|item| unsafe { of(*item) })
}
