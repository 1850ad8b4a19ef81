//! Memory that all processes of the server share, mapped once before the first fork: the records of workers and
//! cores that C plugins see, and beside them our own slots. The master reads them and never locks a worker.

pub mod lock;
pub mod region;

use crate::apps::MAX_APPS;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use rsgi_plugin_api::abi::{UwsgiApp, UwsgiCore, UwsgiWorker};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// How much of a request's description a slot keeps for the master.
pub const DESCRIPTION: usize = 496;

/// What a core is doing, for the master: written by the core, read when it is stuck.
#[repr(C)]
pub struct CoreSlot {
    /// Seconds since the epoch when the request began; 0: idle.
    pub since: AtomicI64,
    /// Seconds since the epoch when the request is over time; 0: never.
    pub deadline: AtomicI64,
    /// `127.0.0.1 - GET /path`
    description: [AtomicU8; DESCRIPTION],
    description_len: AtomicU32,
    /// Modifier1 of the plugin whose request hook runs, plus 1; 0: none.
    pub in_hook: AtomicU32,
}

impl CoreSlot {
    /// Describes the request.
    pub fn describe(&self, parts: [&[u8]; 5]) {
        let mut at = 0;
        for part in parts {
            let part = &part[..part.len().min(DESCRIPTION - at)];
            // SAFETY: atomics of one byte have the layout of bytes; only this core writes them, and a reader that
            // looks meanwhile sees some mix of old and new text, which is fine in a log line.
            unsafe {
                let target = self.description.as_ptr().add(at).cast::<u8>().cast_mut();
                std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len());
            }
            at += part.len();
        }
        self.description_len.store(at as u32, Ordering::Release);
    }

    /// Hands a copy of the description to `use_it`; allocates nothing, so that a signal handler may ask.
    pub fn with_description<T>(&self, use_it: impl FnOnce(&[u8]) -> T) -> T {
        let len = (self.description_len.load(Ordering::Acquire) as usize).min(DESCRIPTION);
        let mut copy = [0u8; DESCRIPTION];
        for (to, from) in copy.iter_mut().zip(&self.description[..len]) {
            *to = from.load(Ordering::Relaxed);
        }
        use_it(&copy[..len])
    }

    /// The description as text.
    pub fn description(&self) -> String {
        self.with_description(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// How much of a request's variables a slot keeps for the statistics.
pub const VARS: usize = 8184;

/// The variables of the request that a core serves; there only when somebody may look (`--stats`).
#[repr(C, align(8))]
pub struct VarsSlot {
    /// Odd while the core writes.
    sequence: AtomicU32,
    len: AtomicU32,
    bytes: [AtomicU8; VARS],
}

impl VarsSlot {
    /// Keeps `KEY=value` pairs, as many as fit; called by the core alone.
    pub fn write<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let mut at = 0;
        for (key, value) in pairs {
            if at + key.len() + value.len() + 2 > VARS {
                break;
            }
            for part in [key, b"=", value, b"\0"] {
                // SAFETY: checked to fit; atomics of one byte have the layout of bytes, only this core writes them,
                // and a reader that looks meanwhile sees by the sequence that it must not use what it saw.
                unsafe {
                    let target = self.bytes.as_ptr().add(at).cast::<u8>().cast_mut();
                    std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len());
                }
                at += part.len();
            }
        }
        self.len.store(at as u32, Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// A copy of the pairs, one text each; nothing while they change.
    pub fn read(&self) -> Vec<String> {
        let before = self.sequence.load(Ordering::Acquire);
        let len = (self.len.load(Ordering::Relaxed) as usize).min(VARS);
        let copy: Vec<u8> = self.bytes[..len].iter().map(|b| b.load(Ordering::Relaxed)).collect();
        fence(Ordering::Acquire);
        if before % 2 == 1 || self.sequence.load(Ordering::Relaxed) != before {
            return Vec::new();
        }
        let pairs = copy.split(|b| *b == 0).filter(|pair| !pair.is_empty());
        pairs.map(|pair| String::from_utf8_lossy(pair).into_owned()).collect()
    }
}

/// Life of a worker, between it and the master.
#[repr(C)]
#[derive(Default)]
pub struct WorkerSlot {
    /// Pid of the process that takes requests; for number 0: unused.
    pub ready: AtomicI32,
    /// Pid of the process whose request loop a plugin has taken over.
    pub in_override: AtomicI32,
    /// Pid of a process that is leaving; for number 0: 1 when the whole server stops.
    pub leaving: AtomicI32,
    /// Pid of a process that has done enough and asks for a replacement.
    pub wants_replacement: AtomicI32,
    /// Milliseconds of the monotonic clock: the loop turned; 0: it never did.
    pub heartbeat: AtomicU64,
    /// Deadline set with `set_harakiri`, seconds since the epoch.
    pub user_deadline: AtomicI64,
    /// Pid of a process that the master has given up, or, negative, that it may still spare.
    pub over_time: AtomicI32,
    /// 1: that process has written them, 2: and ends by itself.
    pub stacks_written: AtomicI32,
}

/// The mapping.
#[derive(Debug)]
pub struct SharedMemory {
    /// The file behind it: the next image maps it again, to watch over the workers of this one.
    file: OwnedFd,
    workers: *mut UwsgiWorker,
    cores: *mut UwsgiCore,
    worker_slots: *mut WorkerSlot,
    core_slots: *mut CoreSlot,
    apps: *mut UwsgiApp,
    /// NULL: nobody looks at variables.
    vars: *mut VarsSlot,
    worker_count: usize,
    core_count: usize,
}

// SAFETY: the records are written by one process each, through atomics or by their owner only; see the fields.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

/// Where the parts lie, bytes from the start.
struct Layout {
    workers: usize,
    cores: usize,
    worker_slots: usize,
    core_slots: usize,
    apps: usize,
    vars: usize,
    size: usize,
}

impl Layout {
    fn new(workers: usize, cores: usize, with_vars: bool) -> Self {
        let rows = workers + 1;
        let mut size = 0;
        let mut room = |bytes: usize| {
            let at = size;
            size = (size + bytes).next_multiple_of(64);
            at
        };
        Self {
            workers: room(rows * size_of::<UwsgiWorker>()),
            cores: room(rows * cores * size_of::<UwsgiCore>()),
            worker_slots: room(rows * size_of::<WorkerSlot>()),
            core_slots: room(rows * cores * size_of::<CoreSlot>()),
            // the kernel gives pages as they are touched: a table that is mostly empty costs little
            apps: room(rows * MAX_APPS * size_of::<UwsgiApp>()),
            // last, so that whoever maps the memory again need not know about it
            vars: room(if with_vars {
                rows * cores * size_of::<VarsSlot>()
            } else {
                0
            }),
            size,
        }
    }
}

impl SharedMemory {
    /// Maps room for `workers` workers (and the master, number 0) of `cores` cores each; `with_vars`: also for the
    /// variables of their requests.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn map(workers: usize, cores: usize, with_vars: bool) -> nix::Result<Self> {
        let layout = Layout::new(workers, cores, with_vars);
        let file = memfd_create(c"rsgi-workers", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&file, layout.size as i64)?;
        let shared = Self::map_file(file, &layout, workers, cores, with_vars)?;
        for id in 0..=workers {
            // SAFETY: `id` is inside the arrays; nobody else uses them yet.
            unsafe {
                let worker = shared.workers.add(id);
                (*worker).id = id as i32;
                (*worker).cores = shared.cores.add(id * cores);
                (*worker).apps = shared.apps.add(id * MAX_APPS);
                (*worker).manage_next_request = 1;
            }
        }
        Ok(shared)
    }

    /// Maps the memory of the image before again, to read it; `fd` is duplicated.
    ///
    /// # Errors
    /// The descriptor is none of ours, or the system has no memory.
    pub fn map_again(fd: RawFd, workers: usize, cores: usize) -> nix::Result<Self> {
        // SAFETY: inherited for us, or it is not open and the kernel says so.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let layout = Layout::new(workers, cores, false);
        if (nix::sys::stat::fstat(fd)?.st_size as usize) < layout.size {
            // a page beyond the end of the file would be a SIGBUS
            return Err(nix::Error::EINVAL);
        }
        let copy = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(3))?;
        // SAFETY: new, and ours.
        let file = unsafe { OwnedFd::from_raw_fd(copy) };
        Self::map_file(file, &layout, workers, cores, false)
    }

    fn map_file(file: OwnedFd, layout: &Layout, workers: usize, cores: usize, with_vars: bool) -> nix::Result<Self> {
        let length = NonZeroUsize::new(layout.size).ok_or(nix::Error::EINVAL)?;
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; it stays for the life of the process.
        let base = unsafe { mmap(None, length, flags, MapFlags::MAP_SHARED, &file, 0)? }
            .as_ptr()
            .cast::<u8>();
        // SAFETY: all offsets lie inside the mapping and are aligned to 64 bytes; zero bytes are valid records.
        unsafe {
            Ok(Self {
                file,
                workers: base.add(layout.workers).cast(),
                cores: base.add(layout.cores).cast(),
                worker_slots: base.add(layout.worker_slots).cast(),
                core_slots: base.add(layout.core_slots).cast(),
                apps: base.add(layout.apps).cast(),
                vars: if with_vars {
                    base.add(layout.vars).cast()
                } else {
                    std::ptr::null_mut()
                },
                worker_count: workers,
                core_count: cores,
            })
        }
    }

    /// The file behind it.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Tells whether the records of two images lie alike.
    pub fn layout_stamp() -> String {
        let sizes = [
            size_of::<UwsgiWorker>(),
            size_of::<UwsgiCore>(),
            size_of::<WorkerSlot>(),
            size_of::<CoreSlot>(),
        ];
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        format!("{}-{}", env!("CARGO_PKG_VERSION"), sizes.join("."))
    }

    /// The C records; `[0]` is the master.
    pub fn workers(&self) -> *mut UwsgiWorker {
        self.workers
    }

    /// How many workers there may be.
    pub fn worker_count(&self) -> usize {
        self.worker_count
    }

    /// Cores of each.
    pub fn core_count(&self) -> usize {
        self.core_count
    }

    /// The C record of a worker. Written by its process, and by the master while it has none.
    pub fn worker(&self, id: usize) -> *mut UwsgiWorker {
        assert!(id <= self.worker_count);
        // SAFETY: checked to be inside.
        unsafe { self.workers.add(id) }
    }

    /// Whether any core of a worker serves a request.
    pub fn is_busy(&self, id: usize) -> bool {
        // SAFETY: a field in shared memory.
        unsafe { int(&raw mut (*self.worker(id)).busy) }.load(Ordering::Relaxed) > 0
    }

    /// The C record of a core.
    pub fn core(&self, worker: usize, core: usize) -> *mut UwsgiCore {
        assert!(worker <= self.worker_count && core < self.core_count);
        // SAFETY: checked to be inside.
        unsafe { self.cores.add(worker * self.core_count + core) }
    }

    /// The slot of a worker.
    pub fn worker_slot(&self, id: usize) -> &'static WorkerSlot {
        assert!(id <= self.worker_count);
        // SAFETY: checked to be inside; the mapping stays for the life of the process.
        unsafe { &*self.worker_slots.add(id) }
    }

    /// The slot of a core.
    pub fn core_slot(&self, worker: usize, core: usize) -> &'static CoreSlot {
        assert!(worker <= self.worker_count && core < self.core_count);
        // SAFETY: checked to be inside; the mapping stays for the life of the process.
        unsafe { &*self.core_slots.add(worker * self.core_count + core) }
    }

    /// The figures of an app of a worker; pointers in them are NULL, they would be another process's.
    pub fn app(&self, worker: usize, app: usize) -> *mut UwsgiApp {
        assert!(worker <= self.worker_count && app < MAX_APPS);
        // SAFETY: checked to be inside.
        unsafe { self.apps.add(worker * MAX_APPS + app) }
    }

    /// Where a core keeps the variables of its request, if anybody may look.
    pub fn vars_slot(&self, worker: usize, core: usize) -> Option<&'static VarsSlot> {
        assert!(worker <= self.worker_count && core < self.core_count);
        // SAFETY: checked to be inside; the mapping stays for the life of the process.
        (!self.vars.is_null()).then(|| unsafe { &*self.vars.add(worker * self.core_count + core) })
    }
}

/// Zero bytes, aligned to a page, that this process and those it forks share; they stay for the life of the process.
///
/// # Errors
/// The system has no memory for it.
pub fn zeroes(size: usize) -> nix::Result<*mut u8> {
    let length = NonZeroUsize::new(size.max(1)).ok_or(nix::Error::EINVAL)?;
    let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let base = unsafe { mmap_anonymous(None, length, flags, MapFlags::MAP_SHARED)? };
    Ok(base.as_ptr().cast())
}

/// So many zeroed rows in memory that this process and those it forks share; it stays for the life of the process.
///
/// # Errors
/// The system has no memory for it.
pub fn rows<T: Default>(count: usize) -> nix::Result<&'static [T]> {
    let first = zeroes(count * size_of::<T>())?.cast::<T>();
    // SAFETY: aligned to a page and large enough for the rows, which are written before anybody else sees them.
    unsafe {
        (0..count).for_each(|at| first.add(at).write(T::default()));
        Ok(std::slice::from_raw_parts(first, count))
    }
}

/// A counter of a C record, as the atomic that it is between threads and processes.
///
/// # Safety
/// `counter` points into the shared memory.
pub unsafe fn counter(counter: *mut u64) -> &'static AtomicU64 {
    // SAFETY: by the contract; u64 fields are aligned.
    unsafe { AtomicU64::from_ptr(counter) }
}

/// The same for an int field.
///
/// # Safety
/// `field` points into the shared memory.
pub unsafe fn int(field: *mut i32) -> &'static AtomicI32 {
    // SAFETY: by the contract; int fields are aligned.
    unsafe { AtomicI32::from_ptr(field) }
}

/// Adds to a counter. `alone`: no other thread or process adds to it, so that a load and a store do, which cost a tenth of an
/// addition that locks the bus; readers see one value or the other.
pub fn add(counter: &AtomicU64, amount: u64, alone: bool) {
    match alone {
        true => counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed),
        false => _ = counter.fetch_add(amount, Ordering::Relaxed),
    }
}

/// The same for an int; what it was before.
pub fn add_int(field: &AtomicI32, amount: i32, alone: bool) -> i32 {
    match alone {
        true => {
            let before = field.load(Ordering::Relaxed);
            field.store(before.wrapping_add(amount), Ordering::Relaxed);
            before
        }
        false => field.fetch_add(amount, Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_writes_what_the_parent_reads() {
        let shared = SharedMemory::map(2, 3, false).unwrap();
        // SAFETY: the child only touches the mapping and leaves at once.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => {
                shared
                    .core_slot(2, 2)
                    .describe([b"a", b" - ", b"GET", b" ", &[b'x'; 600]]);
                // SAFETY: ends this process without running the test harness's exit work.
                unsafe { libc::_exit(0) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None).unwrap();
            }
        }
        let text = shared.core_slot(2, 2).description();
        assert!(text.starts_with("a - GET xxx"));
        assert_eq!(text.len(), DESCRIPTION);
        // SAFETY: nobody writes now.
        assert_eq!(unsafe { (*shared.worker(2)).id }, 2);
    }

    #[test]
    fn the_next_image_reads_what_this_one_wrote() {
        let shared = SharedMemory::map(2, 1, true).unwrap();
        shared.core_slot(2, 0).deadline.store(42, Ordering::Relaxed);
        let again = SharedMemory::map_again(shared.fd(), 2, 1).unwrap();
        assert_eq!(again.core_slot(2, 0).deadline.load(Ordering::Relaxed), 42);
        assert!(again.vars_slot(2, 0).is_none());
        assert!(SharedMemory::map_again(shared.fd(), 9999, 1).is_err());
    }

    #[test]
    fn variables_are_kept_whole_and_as_many_as_fit() {
        let shared = SharedMemory::map(1, 1, true).unwrap();
        let slot = shared.vars_slot(1, 0).unwrap();
        assert_eq!(slot.read(), Vec::<String>::new());
        let long = vec![b'x'; VARS];
        slot.write([(&b"A"[..], &b"1"[..]), (b"B", b""), (b"C", &long), (b"D", b"4")].into_iter());
        assert_eq!(slot.read(), ["A=1", "B="]);
        slot.write([(&b"Z"[..], &b"26"[..])].into_iter());
        assert_eq!(slot.read(), ["Z=26"]);
        assert!(SharedMemory::map(1, 1, false).unwrap().vars_slot(1, 0).is_none());
    }
}
