//! A logger at work: what waits for it, and the thread that hands it over. In the process that delivers lines: the master.
//!
//! A logger may be slow or dead for as long as it likes: lines wait in a bounded queue, beyond it they are dropped and
//! counted, and when the logger takes lines again it is told how many are missing, in their place.

use super::encoder::Encoder;
use super::sink::LoggerFn;
use super::standard;
use crate::plugin::inside::Brought;
use rsgi_plugin_api::abi::{LOGGER_AGAIN, UwsgiLogger};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Bytes that may wait for one logger.
const MOST: usize = 8 << 20;
/// What an entry costs beside its bytes.
const ENTRY: usize = 64;
/// Chunks for a logger that takes streams grow to this size while they wait.
const CHUNK: usize = 64 * 1024;
/// The longest pause before a logger is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Lines that no logger has seen.
static LOST: AtomicU64 = AtomicU64::new(0);
/// Threads hand lines over; before, whoever writes a line does.
static THREADS: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread is inside a logger.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Lines that were dropped because their logger was too slow.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// From now on each logger has its thread. The process has forked for the last time before it serves.
pub fn begin_threads() {
    THREADS.store(true, Ordering::Release);
}

/// Whether the caller is inside a logger or an encoder of a plugin: what it says goes to standard error.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs what may say something itself.
pub(super) fn inside<T>(run: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let result = run();
    INSIDE.set(before);
    result
}

/// The lines of a message; what an encoder has made may have no newline.
fn count(message: &[u8]) -> u64 {
    message.iter().filter(|b| **b == b'\n').count().max(1) as u64
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines dropped since the last that was accepted.
    dropped: u64,
    has_thread: bool,
    /// The thread is handing one over.
    is_busy: bool,
    /// The end has come: no second try.
    is_closing: bool,
}

/// A configured logger.
pub struct Sink {
    /// As messages name it.
    pub label: String,
    record: *mut UwsgiLogger,
    func: Brought<LoggerFn>,
    /// It takes any number of lines in one call; others get one each.
    pub takes_streams: bool,
    /// What becomes of the line that tells of lost ones.
    encoders: Vec<Encoder>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Held while the logger is called.
    calling: Mutex<()>,
}

// SAFETY: the record is used under `calling` only.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

/// What is held while the process forks, so that the child finds no lock of a logger taken.
pub struct Held {
    _waiting: Vec<MutexGuard<'static, Waiting>>,
    _calling: Vec<MutexGuard<'static, ()>>,
}

impl Sink {
    /// Around a plugin's record, which lives as long as the process.
    pub fn new(
        label: String,
        record: *mut UwsgiLogger,
        func: Brought<LoggerFn>,
        takes_streams: bool,
        encoders: Vec<Encoder>,
    ) -> Self {
        Self {
            label,
            record,
            func,
            takes_streams,
            encoders,
            waiting: Mutex::default(),
            changed: Condvar::new(),
            calling: Mutex::new(()),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message over: now, or by the thread.
    pub fn push(&'static self, message: &[u8]) {
        if !THREADS.load(Ordering::Acquire) {
            if self.call(message) < 0 {
                standard::original(message);
            }
            return;
        }
        let mut waiting = self.waiting();
        if !waiting.has_thread {
            let thread = std::thread::Builder::new().name("logger".into()).stack_size(256 * 1024);
            waiting.has_thread = thread.spawn(move || self.run()).is_ok();
        }
        // after a loss there is room again when half has gone: one notice for one loss
        let most = if waiting.dropped > 0 { MOST / 2 } else { MOST };
        if waiting.bytes + message.len() > most && waiting.bytes > 0 {
            return self.drop_lines(&mut waiting, message);
        }
        if waiting.dropped > 0 {
            self.tell_of_loss(&mut waiting);
        }
        match waiting.messages.back_mut() {
            Some(last) if self.takes_streams && last.len() + message.len() <= CHUNK => last.extend_from_slice(message),
            _ => {
                waiting.messages.push_back(message.to_vec());
                waiting.bytes += ENTRY;
            }
        }
        waiting.bytes += message.len();
        drop(waiting);
        self.changed.notify_all();
    }

    fn drop_lines(&self, waiting: &mut Waiting, message: &[u8]) {
        if waiting.dropped == 0 {
            let text = format!(
                "logger {}: {} bytes wait for it; lines are dropped\n",
                self.label, waiting.bytes
            );
            standard::original(text.as_bytes());
        }
        let lines = count(message);
        waiting.dropped += lines;
        LOST.fetch_add(lines, Ordering::Relaxed);
    }

    fn tell_of_loss(&self, waiting: &mut Waiting) {
        let dropped = std::mem::take(&mut waiting.dropped);
        let text = format!("*** {dropped} log lines were lost: the logger was too slow ***\n");
        let message = self.encoders.iter().fold(text.into_bytes(), |line, e| e.encode(line));
        waiting.bytes += message.len() + ENTRY;
        waiting.messages.push_back(message);
    }

    fn call(&self, message: &[u8]) -> isize {
        let _calling = self.calling.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the record is ours and used under the lock; the function only reads the message.
        let call = |func: LoggerFn| unsafe { func(self.record, message.as_ptr().cast_mut().cast(), message.len()) };
        inside(|| self.func.call(call))
    }

    /// The thread's life.
    fn run(&'static self) {
        let mut waiting = self.waiting();
        loop {
            let Some(message) = waiting.messages.pop_front() else {
                if waiting.dropped > 0 {
                    self.tell_of_loss(&mut waiting);
                    continue;
                }
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            waiting.is_busy = true;
            drop(waiting);
            self.hand_over(&message);
            waiting = self.waiting();
            waiting.is_busy = false;
            // what was being handed over counts until it is
            waiting.bytes -= message.len() + ENTRY;
            self.changed.notify_all();
        }
    }

    /// Until it is written: a logger that cannot take it now is tried again.
    fn hand_over(&self, message: &[u8]) {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.call(message) {
                LOGGER_AGAIN => {}
                ..0 => return standard::original(message),
                _ => return,
            }
            let waiting = self.waiting();
            if waiting.is_closing {
                drop(waiting);
                return standard::original(message);
            }
            let end = Instant::now() + pause;
            let until = |w: &mut Waiting| !w.is_closing && Instant::now() < end;
            drop(self.changed.wait_timeout_while(waiting, pause, until));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits until nothing waits, at most until `end`; whether that is so.
    pub fn settle(&self, end: Instant) -> bool {
        let mut waiting = self.waiting();
        while waiting.has_thread && (waiting.is_busy || !waiting.messages.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = match self.changed.wait_timeout(waiting, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }

    /// The process ends or becomes another image: what the logger does not take until `end` goes to standard error if there
    /// is time for it, and is lost otherwise, which is said.
    pub fn finish(&self, end: Instant) {
        let first = end.checked_sub(LONGEST_PAUSE).unwrap_or(end);
        if self.settle(first) {
            return;
        }
        self.waiting().is_closing = true;
        self.changed.notify_all();
        if !self.settle(end) {
            let waiting = self.waiting();
            let count = waiting.messages.iter().map(|m| count(m)).sum::<u64>() + 1;
            let text = format!("logger {}: {count} log lines are lost at the end\n", self.label);
            standard::original(text.as_bytes());
        }
        // an exec that fails leaves a server that goes on
        self.waiting().is_closing = false;
    }
}

/// Takes the locks of all loggers for a fork; one that hangs in its logger is not waited for long.
pub fn hold(sinks: &'static [Sink]) -> Held {
    let end = Instant::now() + Duration::from_millis(50);
    let mut calling = Vec::new();
    for sink in sinks {
        loop {
            match sink.calling.try_lock() {
                Ok(guard) => calling.push(guard),
                Err(TryLockError::Poisoned(poisoned)) => calling.push(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {}
            }
            break;
        }
    }
    Held {
        _waiting: sinks.iter().map(Sink::waiting).collect(),
        _calling: calling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_char;
    use std::sync::atomic::AtomicU32;

    static REFUSES: AtomicBool = AtomicBool::new(true);
    static TAKEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static CALLS: AtomicU32 = AtomicU32::new(0);

    unsafe extern "C" fn moody(_: *mut UwsgiLogger, text: *mut c_char, len: usize) -> isize {
        CALLS.fetch_add(1, Ordering::Relaxed);
        if REFUSES.load(Ordering::Relaxed) {
            return LOGGER_AGAIN;
        }
        // SAFETY: the test calls with a message.
        let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
        TAKEN.lock().unwrap().extend_from_slice(text);
        len as isize
    }

    #[test]
    fn lines_wait_in_their_order_and_a_loss_is_told_in_its_place() {
        begin_threads();
        let sink: &'static Sink = Box::leak(Box::new(Sink::new(
            "moody".into(),
            std::ptr::null_mut(),
            Brought::of(c"logger", moody),
            true,
            Vec::new(),
        )));
        let line = |n: usize| format!("{n:0>999}\n").into_bytes();
        let fitting = MOST / (1000 + 1);
        for n in 0..fitting + 2000 {
            sink.push(&line(n));
        }
        let lost = lost();
        assert!(lost > 1000, "{lost}");
        while CALLS.load(Ordering::Relaxed) < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        REFUSES.store(false, Ordering::Relaxed);
        assert!(sink.settle(Instant::now() + Duration::from_secs(20)));
        let taken = TAKEN.lock().unwrap();
        let mut lines = taken.split(|b| *b == b'\n');
        let kept = fitting + 2000 - lost as usize;
        for n in 0..kept {
            assert_eq!(lines.next().unwrap(), &line(n)[..999]);
        }
        let said = String::from_utf8_lossy(lines.next().unwrap()).into_owned();
        assert_eq!(
            said,
            format!("*** {lost} log lines were lost: the logger was too slow ***")
        );
        assert_eq!(lines.collect::<Vec<_>>(), [b""]);
    }
}
