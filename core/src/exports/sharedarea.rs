//! Areas of raw memory that all processes share.

use crate::sharedarea::{self, Area, Outside};
use rsgi_plugin_api::abi::UwsgiSharedarea;
use std::ffi::{c_char, c_int};

fn done(result: Option<Result<(), Outside>>) -> c_int {
    if result == Some(Ok(())) { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_sharedarea_read(id: c_int, pos: u64, buf: *mut c_char, len: u64) -> i64 {
    let Some(area) = sharedarea::area(id) else { return -1 };
    let len = match len {
        0 => (area.size as u64).saturating_sub(pos),
        len => len,
    };
    // SAFETY: `with` has checked the area, the header asks for room for `len` bytes.
    let read = area.with(pos, len, |from| unsafe {
        std::ptr::copy_nonoverlapping(from.cast_const(), buf.cast(), len as usize);
    });
    read.map_or(-1, |()| len as i64)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_sharedarea_write(id: c_int, pos: u64, bytes: *mut c_char, len: u64) -> c_int {
    let write = |area: Area| {
        // SAFETY: `with` has checked the area, the header asks for `len` bytes.
        area.with(pos, len, |to| unsafe {
            std::ptr::copy(bytes.cast::<u8>().cast_const(), to, len as usize);
        })
    };
    done(sharedarea::area(id).map(write))
}

/// Reading, writing and changing numbers of a width.
macro_rules! numbers {
    ($($type:ty: $read:ident $write:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $read(id: c_int, pos: u64, value: *mut $type) -> c_int {
            // SAFETY: `with` has checked the area, the header asks for a place.
            let read = |area: Area| area.with(pos, size_of::<$type>() as u64, |from| unsafe {
                *value = from.cast::<$type>().read_unaligned();
            });
            done(sharedarea::area(id).map(read))
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $write(id: c_int, pos: u64, value: *mut $type) -> c_int {
            // SAFETY: as above.
            let write = |area: Area| area.with(pos, size_of::<$type>() as u64, |to| unsafe {
                to.cast::<$type>().write_unaligned(*value);
            });
            done(sharedarea::area(id).map(write))
        }
    )* };
}

numbers! {
    i8: uwsgi_sharedarea_read8 uwsgi_sharedarea_write8;
    i16: uwsgi_sharedarea_read16 uwsgi_sharedarea_write16;
    i32: uwsgi_sharedarea_read32 uwsgi_sharedarea_write32;
    i64: uwsgi_sharedarea_read64 uwsgi_sharedarea_write64;
}

macro_rules! changes {
    ($($type:ty: $name:ident $op:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(id: c_int, pos: u64, by: $type) -> c_int {
            // SAFETY: `with` has checked the area.
            let change = |area: Area| area.with(pos, size_of::<$type>() as u64, |at| unsafe {
                let at = at.cast::<$type>();
                at.write_unaligned(at.read_unaligned().$op(by));
            });
            done(sharedarea::area(id).map(change))
        }
    )* };
}

changes! {
    i32: uwsgi_sharedarea_inc32 wrapping_add;
    i64: uwsgi_sharedarea_inc64 wrapping_add;
    i32: uwsgi_sharedarea_dec32 wrapping_sub;
    i64: uwsgi_sharedarea_dec64 wrapping_sub;
}

fn take(id: c_int) -> c_int {
    let lock = sharedarea::area(id).and_then(|area| area.lock());
    lock.map_or(-1, |lock| if lock.lock().is_ok() { 0 } else { -2 })
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sharedarea_rlock(id: c_int) -> c_int {
    take(id)
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sharedarea_wlock(id: c_int) -> c_int {
    take(id)
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sharedarea_unlock(id: c_int) -> c_int {
    let lock = sharedarea::area(id).and_then(|area| area.lock());
    lock.map_or(-1, |lock| {
        lock.unlock();
        0
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_sharedarea(id: c_int, size: *mut u64) -> *mut c_char {
    let Some(area) = sharedarea::area(id) else {
        return std::ptr::null_mut();
    };
    // SAFETY: the header asks for NULL or a place.
    if let Some(size) = unsafe { size.as_mut() } {
        *size = area.size as u64;
    }
    area.base.cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_sharedarea_init_ptr(area: *mut c_char, len: u64) -> *mut UwsgiSharedarea {
    match sharedarea::add(area.cast(), usize::try_from(len).unwrap_or(usize::MAX)) {
        Ok(number) => uwsgi_sharedarea_get_by_id(number, 0),
        Err(e) => {
            crate::say!("no lock for a shared area: {}", e.desc());
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sharedarea_get_by_id(id: c_int, pos: u64) -> *mut UwsgiSharedarea {
    let area = sharedarea::area(id).filter(|area| pos < area.size as u64);
    area.map_or(std::ptr::null_mut(), |area| sharedarea::record(id, &area))
}
