//! Signals of the operating system (uWSGI signals are another thing).
//!
//! The master blocks its signals and reads them from a descriptor, so none is lost, from its first instruction as a
//! master on. A worker has handlers that set a flag and ring a bell which its epoll watches; they restart system
//! calls, so that a request in progress is not disturbed.

use crate::process;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, Ordering};

/// The signals that the master acts on.
pub const MASTER: &[Signal] = &[
    Signal::SIGCHLD,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGWINCH,
];

/// The set of [`MASTER`].
pub fn master_set() -> SigSet {
    MASTER.iter().copied().collect()
}

/// Blocks the master's signals; what arrives waits.
pub fn block_master() {
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&master_set()), None);
}

/// The thread that reads the master's signals.
static MASTER_THREAD: AtomicI32 = AtomicI32::new(0);

/// Threads that an application or a plugin started before the master blocked its signals do not block them: what the
/// kernel hands to such a thread goes on to the master's own, instead of ending the process or, for SIGCHLD, being lost.
pub fn relay_to_master() {
    // SAFETY: takes no argument and cannot fail.
    MASTER_THREAD.store(unsafe { libc::gettid() }, Ordering::Release);
    for signal in MASTER {
        set(*signal, SigHandler::Handler(pass_on));
    }
}

extern "C" fn pass_on(signal: i32) {
    let errno = errno();
    // SAFETY: async-signal-safe calls; the target blocks the signal, so it waits there to be read.
    unsafe {
        let thread = MASTER_THREAD.load(Ordering::Relaxed);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal);
    }
    set_errno(errno);
}

/// Unblocks them in a child, once its own handlers are in place.
pub fn unblock() {
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&master_set()), None);
}

/// Sets a disposition; the signals here are always valid ones.
pub fn set(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers of this file only touch atomics and write one descriptor.
    let _ = unsafe { sigaction(signal, &action) };
}

/// Back to what a new process has; for children that are not workers.
pub fn reset() {
    for signal in MASTER {
        set(*signal, SigHandler::SigDfl);
    }
    set(Signal::SIGPIPE, SigHandler::SigDfl);
}

/// What a worker was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    /// Go on.
    Serve = 0,
    /// Finish what is in flight, then leave.
    Leave = 1,
    /// Leave now.
    Stop = 2,
}

static ORDER: AtomicU8 = AtomicU8::new(0);
static BELL: AtomicI32 = AtomicI32::new(-1);
/// Nobody in this process looks at orders.
static LEAVE_AT_ONCE: AtomicBool = AtomicBool::new(false);
static PAUSED: AtomicU8 = AtomicU8::new(0);

/// The strongest order so far.
pub fn order() -> Order {
    match ORDER.load(Ordering::Acquire) {
        0 => Order::Serve,
        1 => Order::Leave,
        _ => Order::Stop,
    }
}

/// Gives this process an order, as a signal would.
pub fn give_order(order: Order) {
    ORDER.fetch_max(order as u8, Ordering::AcqRel);
    ring();
}

/// The descriptor that becomes readable with the first order; negative: there is none.
pub fn bell() -> RawFd {
    BELL.load(Ordering::Acquire)
}

/// Whether an order to leave ends the process there and then: it runs a program that may never look at orders.
pub fn leave_at_once(at_once: bool) {
    LEAVE_AT_ONCE.store(at_once, Ordering::Release);
}

/// Whether the worker is to hold still (SIGTSTP).
pub fn paused() -> bool {
    PAUSED.load(Ordering::Acquire) != 0
}

fn ring() {
    let fd = BELL.load(Ordering::Relaxed);
    if fd >= 0 {
        let one: u64 = 1;
        // SAFETY: eight bytes to an eventfd; async-signal-safe.
        unsafe { libc::write(fd, (&raw const one).cast(), 8) };
    }
}

/// A loop that is not ours looks at this number: 0: it is to end.
static TOLD: AtomicPtr<i32> = AtomicPtr::new(std::ptr::null_mut());

/// An order to leave is told by a 0 in a place; an order to stop ends the process there and then.
///
/// # Safety
/// The place stays for the life of the process.
pub unsafe fn tell_by(place: *mut i32) {
    TOLD.store(place, Ordering::Release);
    if order() != Order::Serve {
        // SAFETY: by the contract.
        unsafe { place.write_volatile(0) };
    }
}

extern "C" fn on_leave(_: i32) {
    let errno = errno();
    give_order(Order::Leave);
    let told = TOLD.load(Ordering::Acquire);
    if !told.is_null() {
        // SAFETY: a place that stays; one whole number.
        unsafe { told.write_volatile(0) };
    }
    if LEAVE_AT_ONCE.load(Ordering::Acquire) {
        end_now()
    }
    set_errno(errno);
}

/// Ends the process in a signal handler.
fn end_now() -> ! {
    crate::plugin::inside::record::leave();
    // SAFETY: async-signal-safe by POSIX.
    unsafe { libc::_exit(0) }
}

extern "C" fn on_stop(_: i32) {
    let errno = errno();
    give_order(Order::Stop);
    if !TOLD.load(Ordering::Acquire).is_null() {
        end_now()
    }
    if crate::worker::busy_in_main_thread() && !crate::plugin::hooks::worker_int_in_signal() {
        // the main thread is inside a request and will not come back soon: stop means now
        end_now()
    }
    set_errno(errno);
}

/// The signal on which a worker writes its stacks; none of those with a meaning of their own.
pub fn stacks() -> i32 {
    libc::SIGRTMIN() + 8
}

static ABORTED: AtomicBool = AtomicBool::new(false);

/// Whether a plugin wants to end this process (`worker_abort`); the main thread asks outside of requests.
pub fn aborted() -> bool {
    ABORTED.load(Ordering::Relaxed)
}

/// A plugin ends this process; the main thread, if it is not inside a request, hears it at once.
pub fn abort_when_calm() {
    ABORTED.store(true, Ordering::Release);
    ring();
}

extern "C" fn on_stacks(_: i32) {
    let errno = errno();
    match process::role() {
        process::Role::Mule => process::harakiri::write_stacks_aside(),
        _ => _ = process::harakiri::write_stacks(false),
    }
    set_errno(errno);
}

extern "C" fn on_abort(signal: i32) {
    let errno = errno();
    crate::plugin::inside::end::tell(signal);
    if !crate::process::harakiri::write_stacks(true) {
        // SAFETY: async-signal-safe calls: what SIGABRT does without a handler, once this one has returned.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    set_errno(errno);
}

extern "C" fn on_pause(_: i32) {
    let errno = errno();
    match crate::worker::is_told_to_pause() {
        // two signals that come close together are one: what counts is what the master wants now
        Some(told) => PAUSED.store(u8::from(told), Ordering::Release),
        None => drop(PAUSED.fetch_xor(1, Ordering::AcqRel)),
    }
    ring();
    set_errno(errno);
}

extern "C" fn on_describe(_: i32) {
    let errno = errno();
    crate::worker::describe_on_signal();
    set_errno(errno);
}

fn errno() -> i32 {
    nix::Error::last_raw()
}

fn set_errno(value: i32) {
    nix::Error::set_raw(value);
}

/// Installs a worker's handlers and gives the descriptor that becomes readable, for good, with the first order.
///
/// # Errors
/// No descriptor is left.
pub fn install_worker() -> nix::Result<OwnedFd> {
    use nix::sys::eventfd::{EfdFlags, EventFd};
    let bell: OwnedFd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?.into();
    BELL.store(bell.as_raw_fd(), Ordering::Release);
    ORDER.store(0, Ordering::Release);
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        set(signal, SigHandler::Handler(on_leave));
    }
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        set(signal, SigHandler::Handler(on_stop));
    }
    set(Signal::SIGTSTP, SigHandler::Handler(on_pause));
    set(Signal::SIGUSR2, SigHandler::Handler(on_describe));
    set(Signal::SIGABRT, SigHandler::Handler(on_abort));
    ABORTED.store(false, Ordering::Release);
    // SAFETY: the handler only does what is safe in one; the struct is complete.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_stacks as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(stacks(), &action, std::ptr::null_mut());
    }
    for signal in [Signal::SIGUSR1, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGWINCH] {
        set(signal, SigHandler::SigIgn);
    }
    set(Signal::SIGCHLD, SigHandler::SigDfl);
    set(Signal::SIGPIPE, SigHandler::SigIgn);
    Ok(bell)
}

/// Drains the bell after a pause, so that it may ring again.
pub fn silence(bell: RawFd) {
    let mut count = 0u64;
    // SAFETY: eight bytes from an eventfd.
    unsafe { libc::read(bell, (&raw mut count).cast(), 8) };
}
