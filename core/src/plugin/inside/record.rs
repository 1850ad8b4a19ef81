//! What the threads of all processes are inside, in memory that the processes share: written by each thread, read by the
//! master when a process has ended without a word or has to be killed.

use super::{Place, here};
use crate::plugin::registry::registry;
use crate::shared;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Threads of all processes that are seen at once; those beyond have no slot.
const MOST: usize = 4096;

/// What one thread is inside.
#[repr(C)]
struct Slot {
    /// The process whose thread has it; 0: nobody.
    pid: AtomicI32,
    plugin: AtomicPtr<c_char>,
    function: AtomicPtr<c_char>,
}

/// In shared memory, all zero at first.
#[repr(C)]
struct Table {
    /// No slot from this one on was ever used.
    used: AtomicUsize,
    slots: [Slot; MOST],
}

static TABLE: OnceLock<Option<&'static Table>> = OnceLock::new();

/// Texts on the heap that were there before the first fork.
static KEPT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

thread_local! {
    /// This thread's slot. Used in signal handlers: no destructor, no lazy start.
    static OWN: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    /// Gives the slot back when the thread ends.
    static RELEASE: Release = const { Release };
}

struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(slot) = OWN.take() {
            slot.clear();
        }
    }
}

impl Slot {
    fn clear(&self) {
        self.write(None);
        self.pid.store(0, Ordering::Release);
    }

    #[inline]
    fn write(&self, place: Option<Place>) {
        let (plugin, function) = place.map_or((null_mut(), null_mut()), |p| {
            (p.plugin.as_ptr().cast_mut(), p.function.as_ptr().cast_mut())
        });
        self.plugin.store(plugin, Ordering::Relaxed);
        self.function.store(function, Ordering::Relaxed);
    }

    /// What is in it, as addresses of the process that wrote it.
    fn read(&self) -> Option<[*const c_char; 2]> {
        let texts = [&self.plugin, &self.function].map(|t| t.load(Ordering::Relaxed).cast_const());
        (!texts.iter().any(|t| t.is_null())).then_some(texts)
    }
}

/// The table, which the processes that are forked from now on share.
fn table() -> Option<&'static Table> {
    *TABLE.get_or_init(|| {
        unsafe extern "C" fn in_child() {
            // the slot is the parent's
            OWN.set(None);
        }
        // SAFETY: a function that lives as long as the process, and touches this thread's variable alone.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        let memory = shared::zeroes(size_of::<Table>()).ok()?.cast::<Table>();
        // SAFETY: aligned to a page, large enough, never unmapped, and all-zero is a valid table.
        Some(unsafe { &*memory })
    })
}

/// Maps it; in the start.
pub fn prepare() {
    table();
}

/// Whether the process has ended.
fn is_gone(pid: i32) -> bool {
    // SAFETY: sends nothing.
    unsafe { libc::kill(pid, 0) != 0 && nix::Error::last() == nix::Error::ESRCH }
}

fn claim() -> Option<&'static Slot> {
    let table = table()?;
    let pid = nix::unistd::getpid().as_raw();
    let take = || {
        table.slots.iter().position(|slot| {
            slot.pid.load(Ordering::Relaxed) == 0
                && slot
                    .pid
                    .compare_exchange(0, pid, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        })
    };
    let at = take().or_else(|| {
        // those of processes that were nobody's to reap
        for slot in &table.slots {
            let other = slot.pid.load(Ordering::Relaxed);
            if other != 0 && is_gone(other) {
                let _ = slot.pid.compare_exchange(other, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        take()
    })?;
    table.used.fetch_max(at + 1, Ordering::AcqRel);
    let _ = RELEASE.try_with(|_| ());
    OWN.set(Some(&table.slots[at]));
    Some(&table.slots[at])
}

/// This thread is inside of it now.
#[inline]
pub(super) fn show(place: Option<Place>) {
    match OWN.get() {
        Some(slot) => slot.write(place),
        None if place.is_none() => {}
        None => {
            if let Some(slot) = claim() {
                slot.write(place);
            }
        }
    }
}

/// The same, unless this thread has no slot yet; for signal handlers.
pub(super) fn show_if_known(place: Option<Place>) {
    if let Some(slot) = OWN.get() {
        slot.write(place);
    }
}

/// Whether this thread has a slot: it has run a plugin's function since the process was forked.
pub(super) fn is_here() -> bool {
    OWN.get().is_some()
}

fn slots_of(pid: i32) -> impl Iterator<Item = &'static Slot> {
    let table = TABLE.get().copied().flatten();
    let used = table.map_or(&[][..], |t| &t.slots[..t.used.load(Ordering::Acquire).min(MOST)]);
    used.iter().filter(move |slot| slot.pid.load(Ordering::Acquire) == pid)
}

/// What the threads of this process are inside; for signal handlers.
pub(super) fn own() -> impl Iterator<Item = Place> {
    // SAFETY: a text that lives as long as the process, which has written it.
    let text = |text| unsafe { CStr::from_ptr(text) };
    slots_of(nix::unistd::getpid().as_raw()).filter_map(move |slot| {
        let [plugin, function] = slot.read()?.map(text);
        Some(Place { plugin, function })
    })
}

/// This process ends and has said all there is to say; for signal handlers too.
pub fn leave() {
    slots_of(nix::unistd::getpid().as_raw()).for_each(|slot| slot.write(None));
}

/// What a child is inside.
pub fn of(pid: i32) -> Vec<Place> {
    let places = slots_of(pid).filter_map(|slot| {
        let [plugin, function] = slot.read()?.map(known);
        Some(Place {
            plugin: plugin?,
            function: function?,
        })
    });
    places.collect()
}

/// A child has ended: what it was inside when it did so without a word.
pub fn left_by(pid: i32) -> Vec<Place> {
    let places = of(pid);
    slots_of(pid).for_each(Slot::clear);
    places
}

/// A text of a child that is also one of ours: a constant of a file, or made before the fork.
fn known(text: *const c_char) -> Option<&'static CStr> {
    let is_kept = || {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.contains(&(text as usize))
    };
    // SAFETY: a text at that address lives as long as the process: nothing is unloaded, and kept ones stay.
    (file_of(text.cast()).is_some() || is_kept()).then(|| unsafe { CStr::from_ptr(text) })
}

/// The loaded file in which an address lies: where it begins, and its path.
fn file_of(address: *const c_void) -> Option<(usize, &'static CStr)> {
    // SAFETY: pointers and integers: zero is valid.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked about; paths of files that are never unloaded live as long as the process.
    unsafe {
        (libc::dladdr(address, &mut info) != 0 && !info.dli_fname.is_null())
            .then(|| (info.dli_fbase as usize, CStr::from_ptr(info.dli_fname)))
    }
}

/// A text that stays, and that the master knows again if it was made before the fork.
pub(in crate::plugin) fn kept(text: &str) -> &'static CStr {
    let text = CString::new(text.replace('\0', "")).unwrap_or_default();
    let text: &'static CStr = Box::leak(text.into_boxed_c_str());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push(text.as_ptr() as usize);
    text
}

/// A kind of functions and the name of one.
pub(in crate::plugin) fn text(kind: &str, name: &[u8]) -> &'static CStr {
    kept(&format!("{kind} {}", String::from_utf8_lossy(name)))
}

/// The plugin that a function belongs to: the one in whose file it lies, or that runs now; else its file says.
pub(super) fn owner_of(function: *const c_void) -> &'static CStr {
    thread_local! {
        /// Some functions come with each request: the last few.
        static LAST: Cell<[Option<(*const c_void, &'static CStr)>; 4]> = const { Cell::new([None; 4]) };
    }
    let mut last = LAST.get();
    if let Some((_, owner)) = last.iter().flatten().find(|(other, _)| std::ptr::eq(*other, function)) {
        return owner;
    }
    let owner = look_up(function);
    last.rotate_right(1);
    last[0] = Some((function, owner));
    LAST.set(last);
    owner
}

fn look_up(function: *const c_void) -> &'static CStr {
    let Some((base, path)) = file_of(function) else {
        return here().map_or(c"?", |place| place.plugin);
    };
    let registry = registry();
    let mut plugins = registry.plugins().iter();
    let lies_there = |original: *const c_void| file_of(original).is_some_and(|(other, _)| other == base);
    if let Some(plugin) = plugins.find(|p| lies_there(p.original.cast_const().cast())) {
        return Place::new(plugin.copy, c"").plugin;
    }
    drop(registry);
    if let Some(place) = here() {
        return place.plugin;
    }
    let path = path.to_string_lossy();
    kept(name_of_file(&path))
}

/// What a plugin of this file is called, as far as a path tells.
pub(in crate::plugin) fn name_of_file(path: &str) -> &str {
    let name = Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or(path);
    let name = name.strip_suffix("_plugin").unwrap_or(name);
    name.strip_prefix("lib").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::super::Inside;
    use super::*;
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    const PLACE: Place = Place {
        plugin: c"p",
        function: c"hook worker",
    };

    #[test]
    fn the_parent_sees_where_a_child_has_ended() {
        prepare();
        let _mine = Inside::enter(PLACE);
        let after_the_fork = |n: i32| match n {
            // inside of nothing of its own
            0 => {}
            1 => std::mem::forget(Inside::enter(PLACE)),
            // of which the parent knows nothing
            2 => std::mem::forget(Inside::enter(Place {
                plugin: kept("late"),
                ..PLACE
            })),
            _ => {
                std::mem::forget(Inside::enter(PLACE));
                leave();
            }
        };
        for n in 0..4 {
            // SAFETY: the child only touches its slot and ends at once.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    after_the_fork(n);
                    // SAFETY: without the work of the harness's end.
                    unsafe { libc::_exit(0) }
                }
                ForkResult::Parent { child } => {
                    waitpid(child, None).unwrap();
                    let expected: &[Place] = if n == 1 { &[PLACE] } else { &[] };
                    assert_eq!(left_by(child.as_raw()), expected, "{n}");
                    assert_eq!(left_by(child.as_raw()), []);
                }
            }
        }
        assert!(own().any(|p| p == PLACE));
    }

    #[test]
    fn a_thread_gives_its_slot_back() {
        let other = Place { plugin: c"q", ..PLACE };
        let run = move || {
            let _inside = Inside::enter(other);
            own().any(|p| p == other)
        };
        assert!(std::thread::spawn(run).join().unwrap());
        assert!(own().all(|p| p != other));
    }

    #[test]
    fn functions_belong_to_files() {
        assert_eq!(name_of_file("/x/foo_plugin.so"), "foo");
        assert_eq!(name_of_file("/x/libbar.so"), "bar");
        let of_libc: unsafe extern "C" fn(i32) -> i32 = libc::abs;
        assert_eq!(owner_of(of_libc as *const c_void), c"c.so");
        let _inside = Inside::enter(PLACE);
        let of_libc: unsafe extern "C" fn(i32) -> i32 = libc::isatty;
        assert_eq!(owner_of(of_libc as *const c_void), c"p");
    }
}
