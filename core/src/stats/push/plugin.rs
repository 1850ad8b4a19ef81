//! Pushers of plugins: kinds by name, what the configuration or a plugin asked for of each, and the thread that calls them.
//! Filled in the start; called by the master once a second.

use crate::plugin::inside::Brought;
use crate::say;
use crate::server::keep;
use rsgi_plugin_api::abi::{UwsgiStatsPush, UwsgiStatsPusher, UwsgiStatsPusherInstance};
use std::ffi::{CStr, c_char};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A record of ours that a plugin and the one thread that calls it use.
struct Shared<T>(*mut T);

// SAFETY: records live as long as the process; the master looks at one only while the thread that calls plugins waits.
unsafe impl<T> Send for Shared<T> {}

#[derive(Default)]
struct Table {
    kinds: Vec<Kind>,
    instances: Vec<Shared<UwsgiStatsPusherInstance>>,
}

struct Kind {
    record: Shared<UwsgiStatsPusher>,
    func: Brought<UwsgiStatsPush>,
}

impl Table {
    fn due(&self, instance: *mut UwsgiStatsPusherInstance) -> Option<Due> {
        // SAFETY: an instance has a pusher that lives as long as the process.
        let pusher = unsafe { (*instance).pusher };
        let kind = self.kinds.iter().find(|kind| std::ptr::eq(kind.record.0, pusher))?;
        Some(Due {
            instance: Shared(instance),
            func: kind.func,
        })
    }
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    kinds: Vec::new(),
    instances: Vec::new(),
});

fn table() -> std::sync::MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A kind of `stats-push`; one of the same name gets another function.
pub fn register(name: &[u8], func: UwsgiStatsPush) -> *mut UwsgiStatsPusher {
    let brought = Brought::new("stats pusher", name, func);
    if let Some(known) = find(name) {
        // SAFETY: a record of ours, in the single-threaded start.
        unsafe { (*known).func = Some(func) };
        let mut table = table();
        let kind = table.kinds.iter_mut().find(|kind| std::ptr::eq(kind.record.0, known));
        if let Some(kind) = kind {
            kind.func = brought;
        }
        return known;
    }
    let kind = Box::into_raw(Box::new(UwsgiStatsPusher {
        name: keep(name),
        func: Some(func),
        raw: 0,
        next: null_mut(),
    }));
    table().kinds.push(Kind {
        record: Shared(kind),
        func: brought,
    });
    kind
}

fn find(name: &[u8]) -> Option<*mut UwsgiStatsPusher> {
    let table = table();
    let mut kinds = table.kinds.iter().map(|kind| kind.record.0);
    // SAFETY: names are ours and live as long as the process.
    kinds.find(|kind| unsafe { CStr::from_ptr((**kind).name) }.to_bytes() == name)
}

/// Whether a plugin brings this kind.
pub fn is_known(name: &str) -> bool {
    find(name.as_bytes()).is_some()
}

/// One more push of a kind.
///
/// # Safety
/// `kind` was made by [`register`].
pub unsafe fn add(kind: *mut UwsgiStatsPusher, arg: *mut c_char) -> *mut UwsgiStatsPusherInstance {
    let instance = Box::into_raw(Box::new(UwsgiStatsPusherInstance {
        pusher: kind,
        arg,
        data: null_mut(),
        // SAFETY: by the contract.
        raw: unsafe { (*kind).raw },
        configured: 0,
        freq: 0,
        last_run: 0,
        next: null_mut(),
        needs_retry: 0,
        retries: 0,
        max_retries: 0,
        retry_delay: 0,
        next_retry: 0,
    }));
    let mut table = table();
    if let Some(last) = table.instances.last() {
        // SAFETY: a record of ours, in the single-threaded start.
        unsafe { (*last.0).next = instance };
    }
    table.instances.push(Shared(instance));
    instance
}

/// `KIND[:ARG]` of the configuration, if a plugin brings the kind.
pub fn configure(text: &str) -> bool {
    let (name, arg) = match text.split_once(':') {
        Some((name, arg)) => (name, keep(arg)),
        None => (text, null_mut()),
    };
    let kind = find(name.as_bytes());
    // SAFETY: a kind that `register` has made.
    kind.is_some_and(|kind| unsafe { !add(kind, arg).is_null() })
}

/// Whether anything is pushed by plugins.
pub fn is_used() -> bool {
    !table().instances.is_empty()
}

/// A push whose time has come, and what does it.
struct Due {
    instance: Shared<UwsgiStatsPusherInstance>,
    func: Brought<UwsgiStatsPush>,
}

/// What the thread is to do: call these, with the document.
struct Work {
    due: Vec<Due>,
    now: i64,
    document: Vec<u8>,
}

/// The pushers and their thread.
pub struct Callers {
    sender: SyncSender<Work>,
    frequency: i64,
}

/// The thread is inside a plugin.
static BUSY: AtomicBool = AtomicBool::new(false);

impl Callers {
    /// Starts the thread, if there is anything to call; in the master, after the forks of the start.
    pub fn start(frequency: u64) -> Option<Self> {
        if !is_used() {
            return None;
        }
        let (sender, work) = sync_channel(1);
        let thread = std::thread::Builder::new().name("plugin-pusher".into());
        match thread.spawn(move || call_all(&work)) {
            Ok(_) => Some(Self {
                sender,
                frequency: frequency as i64,
            }),
            Err(e) => {
                say!("stats-push: no thread for it: {e}");
                None
            }
        }
    }

    /// Calls those that are due; left out while the last call lasts.
    pub fn tick(&self, now: i64, document: impl FnOnce() -> Vec<u8>) {
        if BUSY.load(Ordering::Acquire) {
            return;
        }
        let all = table();
        // SAFETY: nobody else uses the records while the thread waits.
        let due = all.instances.iter().filter(|i| unsafe { self.is_due(&*i.0, now) });
        let due: Vec<_> = due.filter_map(|i| all.due(i.0)).collect();
        drop(all);
        if due.is_empty() {
            return;
        }
        // SAFETY: as above.
        let wants_document = due.iter().any(|due| unsafe { !is_raw(&*due.instance.0) });
        let document = if wants_document { document() } else { Vec::new() };
        BUSY.store(true, Ordering::Release);
        if self.sender.try_send(Work { due, now, document }).is_err() {
            BUSY.store(false, Ordering::Release);
        }
    }

    fn is_due(&self, instance: &UwsgiStatsPusherInstance, now: i64) -> bool {
        let every = match i64::from(instance.freq) {
            0 => self.frequency,
            seconds => seconds,
        };
        let again = instance.needs_retry != 0 && instance.next_retry <= now;
        instance.last_run + every <= now || again
    }
}

fn is_raw(instance: &UwsgiStatsPusherInstance) -> bool {
    // SAFETY: an instance has a pusher that lives as long as the process.
    instance.raw != 0 || unsafe { (*instance.pusher).raw } != 0
}

/// The thread's life.
fn call_all(work: &Receiver<Work>) {
    while let Ok(mut work) = work.recv() {
        for due in &work.due {
            call(due, work.now, &mut work.document);
        }
        BUSY.store(false, Ordering::Release);
    }
}

fn call(due: &Due, now: i64, document: &mut [u8]) {
    let instance = due.instance.0;
    // SAFETY: the record is the plugin's and ours, by turns; the function is called as the header states.
    unsafe {
        let is_again = (*instance).needs_retry != 0;
        (*instance).needs_retry = 0;
        let (text, len) = match is_raw(&*instance) {
            true => (null_mut(), 0),
            false => (document.as_mut_ptr().cast(), document.len()),
        };
        due.func.call(|func| func(instance, now, text, len));
        (*instance).last_run = now;
        if (*instance).needs_retry == 0 {
            (*instance).retries = 0;
            return;
        }
        (*instance).retries = if is_again { (*instance).retries + 1 } else { 1 };
        if (*instance).retries > (*instance).max_retries {
            let name = CStr::from_ptr((*(*instance).pusher).name).to_string_lossy();
            if (*instance).max_retries > 0 {
                say!("stats-push {name}: given up after {} tries", (*instance).retries);
            }
            ((*instance).needs_retry, (*instance).retries) = (0, 0);
        } else {
            (*instance).next_retry = now + i64::from((*instance).retry_delay);
        }
    }
}
