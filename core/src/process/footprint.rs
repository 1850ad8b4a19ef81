//! What the start has used and the server does not need any more: memory before the workers are forked, mapped code once
//! they are. Asked by the start and by the master.

use crate::config::system_message;
use nix::sys::mman::{MmapAdvise, madvise};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Gives free memory of the heap back to the system: it would be part of every worker.
pub fn trim_heap() {
    // SAFETY: takes no pointer, and locks out other threads.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the mapped pages of programs and libraries: the start has run through most of the interpreter and of the
/// configuration's code, of which the master needs little again, and what is mapped counts as in use. What is needed
/// comes back from the page cache, 64 KiB at a time.
pub fn unmap_startup_code() {
    let maps = match std::fs::read_to_string("/proc/self/smaps") {
        Ok(maps) => maps,
        Err(e) => return log::debug!("mapped code stays: /proc/self/smaps: {}", system_message(&e)),
    };
    for (start, end) in unchanged_files(&maps) {
        if let (Some(start), Some(len)) = (NonNull::new(start as *mut c_void), end.checked_sub(start)) {
            // SAFETY: no byte of these pages differs from its file, so the next access reads the same. Where the kernel
            // does not want to (locked memory), they stay.
            let _ = unsafe { madvise(start, len, MmapAdvise::MADV_DONTNEED) };
        }
    }
}

/// The read-only mappings of files, of which no page was changed: relocated tables are read-only too, but are not what
/// their file says.
fn unchanged_files(smaps: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut candidate = None;
    smaps.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let first = words.next()?;
        if let Some((start, end)) = first.split_once('-') {
            let is_read_only = words.next().is_some_and(|access| matches!(access, "r-xp" | "r--p"));
            let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
            let address = |text| usize::from_str_radix(text, 16).ok();
            candidate = address(start).zip(address(end)).filter(|_| is_read_only && is_file);
        }
        if first != "Anonymous:" || words.next() != Some("0") {
            return None;
        }
        candidate.take()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unchanged_files_are_let_go() {
        let maps = "\
55d0-55d8 r--p 00000000 fe:00 42 /usr/bin/rsgi
Size: 8 kB
Anonymous: 0 kB
55d8-55e0 r-xp 00001000 fe:00 42 /usr/bin/rsgi
Anonymous: 4 kB
55e0-55f0 r--p 00002000 fe:00 42 /usr/bin/rsgi
Anonymous: 0 kB
55f0-55f8 rw-p 00003000 fe:00 42 /usr/bin/rsgi
Anonymous: 0 kB
7f00-7f10 r--s 00000000 00:01 7 /memfd:rsgi-workers (deleted)
Anonymous: 0 kB
7fff-8000 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
";
        assert_eq!(
            unchanged_files(maps).collect::<Vec<_>>(),
            [(0x55d0, 0x55d8), (0x55e0, 0x55f0)]
        );
    }

    #[test]
    fn the_code_goes_on_running() {
        unmap_startup_code();
        assert_eq!(unchanged_files("").count(), 0);
    }
}
