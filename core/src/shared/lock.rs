//! A lock that processes share: a robust mutex in shared memory. No system call while nobody waits, and a holder that
//! dies, however it dies, hands it on: the next one learns of it and mends what was half done. Whoever keeps state in
//! shared memory uses it: queues of signals, the locks of applications, caches.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The lock. It lies in memory that all processes map, at whatever address.
#[repr(C)]
pub struct SharedLock {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// The pid of the holder, for those who want to know; 0: nobody.
    owner: AtomicI32,
}

// SAFETY: the mutex is made for exactly that, the owner is atomic.
unsafe impl Sync for SharedLock {}
// SAFETY: as above.
unsafe impl Send for SharedLock {}

/// How often a lock is asked for before anybody falls asleep at it.
const SPINS: u32 = 50;

/// How long anybody sleeps at a lock before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// So long from now, by the clock that locks wait by.
fn moment_after(pause: Duration) -> libc::timespec {
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + pause;
    libc::timespec {
        tv_sec: then.as_secs() as libc::time_t,
        tv_nsec: then.subsec_nanos().into(),
    }
}

/// How a lock was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// From nobody.
    Free,
    /// From a process that died with it: what it guards may be half done.
    FromDead,
}

/// Why a lock was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Somebody else has it.
    #[error("the lock is held by another process or thread")]
    Busy,
    /// Waiting for oneself would last for ever.
    #[error("this thread holds the lock already")]
    HeldByThisThread,
}

impl SharedLock {
    /// Makes a lock at a place in shared memory.
    ///
    /// # Errors
    /// The system knows no robust locks.
    ///
    /// # Safety
    /// `place` points at shared memory of the right size and alignment that stays mapped for ever, and nobody uses a
    /// lock there now.
    pub unsafe fn make(place: *mut Self) -> nix::Result<&'static Self> {
        // SAFETY: by the contract; the attribute is initialised before its use.
        unsafe {
            let mut attributes: libc::pthread_mutexattr_t = std::mem::zeroed();
            let steps = [
                libc::pthread_mutexattr_init(&mut attributes),
                libc::pthread_mutexattr_settype(&mut attributes, libc::PTHREAD_MUTEX_ERRORCHECK),
                libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED),
                libc::pthread_mutexattr_setrobust(&mut attributes, libc::PTHREAD_MUTEX_ROBUST),
                libc::pthread_mutex_init((*place).mutex.get(), &attributes),
            ];
            libc::pthread_mutexattr_destroy(&mut attributes);
            if let Some(failed) = steps.into_iter().find(|rc| *rc != 0) {
                return Err(nix::Error::from_raw(failed));
            }
            (*place).owner.store(0, Ordering::Relaxed);
            Ok(&*place)
        }
    }

    fn taken(&self, rc: libc::c_int) -> Result<Taken, NotTaken> {
        let taken = match rc {
            0 => Taken::Free,
            libc::EOWNERDEAD => {
                // SAFETY: taken from a dead holder by this very call.
                unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                Taken::FromDead
            }
            libc::EDEADLK => return Err(NotTaken::HeldByThisThread),
            _ => return Err(NotTaken::Busy),
        };
        self.owner.store(crate::server::pid(), Ordering::Relaxed);
        Ok(taken)
    }

    /// Takes the lock, however long that lasts; [`unlock`](Self::unlock) gives it back.
    ///
    /// # Errors
    /// This thread has it already.
    pub fn lock(&self) -> Result<Taken, NotTaken> {
        // SAFETY: made by `make`.
        let ask = || unsafe { libc::pthread_mutex_trylock(self.mutex.get()) };
        let mut rc = ask();
        for _ in 0..SPINS {
            // most are held for less time than it takes to fall asleep
            if rc != libc::EBUSY || self.owner.load(Ordering::Relaxed) == crate::server::pid() {
                break;
            }
            std::hint::spin_loop();
            rc = ask();
        }
        while matches!(rc, libc::EBUSY | libc::ETIMEDOUT) {
            // One that is killed after it was woken, and before it has the lock, takes the call to wake the next one
            // with it, if a third one has the lock by then. So nobody sleeps for ever: all look again now and then.
            let until = moment_after(LOOK_AGAIN);
            // SAFETY: as above; the moment outlives the call.
            rc = unsafe { libc::pthread_mutex_timedlock(self.mutex.get(), &until) };
        }
        self.taken(rc)
    }

    /// Takes the lock if that needs no waiting.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn try_lock(&self) -> Result<Taken, NotTaken> {
        // SAFETY: made by `make`.
        self.taken(unsafe { libc::pthread_mutex_trylock(self.mutex.get()) })
    }

    /// Gives the lock back; `false`: this thread does not have it, and nothing happens.
    pub fn unlock(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        self.owner.store(0, Ordering::Relaxed);
        // SAFETY: made by `make`; the kind of mutex checks who asks.
        let given = unsafe { libc::pthread_mutex_unlock(self.mutex.get()) } == 0;
        if !given {
            self.owner.store(owner, Ordering::Relaxed);
        }
        given
    }

    /// Takes the lock until the guard goes; for code that never asks for it twice.
    pub fn guard(&self) -> Guard<'_> {
        let taken = self.lock();
        debug_assert!(taken.is_ok(), "taken twice by one thread");
        Guard {
            lock: taken.is_ok().then_some(self),
            was_left: taken == Ok(Taken::FromDead),
        }
    }

    /// Whether somebody who lives holds it.
    pub fn is_locked(&self) -> bool {
        match self.try_lock() {
            Ok(_) => {
                self.unlock();
                false
            }
            Err(_) => true,
        }
    }

    /// The pid of the holder, who may have died; 0: nobody.
    pub fn owner(&self) -> i32 {
        self.owner.load(Ordering::Relaxed)
    }
}

/// The lock is held.
pub struct Guard<'a> {
    lock: Option<&'a SharedLock>,
    was_left: bool,
}

impl Guard<'_> {
    /// Whether the holder before died with it: what the lock guards may be half done.
    pub fn was_left(&self) -> bool {
        self.was_left
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock {
            lock.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, Pid, fork};

    fn lock() -> &'static SharedLock {
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh page that is never unmapped.
        unsafe {
            let size = std::num::NonZeroUsize::new(4096).unwrap();
            let place = mmap_anonymous(None, size, flags, MapFlags::MAP_SHARED).unwrap();
            SharedLock::make(place.as_ptr().cast()).unwrap()
        }
    }

    /// A child that takes the lock, says so, and waits to be killed.
    fn holder(lock: &SharedLock) -> Pid {
        // SAFETY: the child only touches the lock.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let _ = lock.lock();
                loop {
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
            ForkResult::Parent { child } => {
                while lock.owner() == 0 {
                    std::thread::yield_now();
                }
                child
            }
        }
    }

    #[test]
    fn a_killed_holder_leaves_the_lock_to_the_next() {
        let lock = lock();
        for _ in 0..20 {
            let child = holder(lock);
            assert_eq!(lock.try_lock(), Err(NotTaken::Busy));
            assert!(lock.is_locked());
            kill(child, Signal::SIGKILL).unwrap();
            waitpid(child, None).unwrap();
            assert_eq!(lock.lock(), Ok(Taken::FromDead));
            assert!(lock.unlock());
        }
        assert_eq!(lock.lock(), Ok(Taken::Free));
        lock.unlock();
    }

    #[test]
    fn asking_does_not_take_it_from_a_dead_holder_for_good() {
        let lock = lock();
        let child = holder(lock);
        kill(child, Signal::SIGKILL).unwrap();
        waitpid(child, None).unwrap();
        assert!(!lock.is_locked());
        assert_eq!((lock.owner(), lock.try_lock()), (0, Ok(Taken::Free)));
        lock.unlock();
    }

    #[test]
    fn one_thread_cannot_wait_for_itself_nor_give_back_what_it_has_not() {
        let lock = lock();
        assert!(!lock.unlock());
        assert_eq!(lock.lock(), Ok(Taken::Free));
        assert_eq!(lock.lock(), Err(NotTaken::HeldByThisThread));
        std::thread::scope(|s| {
            s.spawn(|| assert!(!lock.unlock()));
        });
        assert!(lock.is_locked());
        assert!(lock.unlock());
        assert!(!lock.is_locked());
    }
}
