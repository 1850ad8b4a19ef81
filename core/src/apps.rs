//! The applications of this process: the table that request plugins fill with `uwsgi_add_app`, and the choice of
//! one by mountpoint. Loaded in the master it is copied by the fork; with lazy-apps each worker fills its own.
//!
//! Its records hold addresses of one process; what others read of an app (name, counters) is kept in shared memory.

use crate::server;
use crate::shared::{add, counter};
use rsgi_plugin_api::abi::UwsgiApp;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// How many applications one process may hold (`--max-apps` in uWSGI, 64 there too).
pub const MAX_APPS: usize = 64;

/// The table; records never move.
pub struct AppTable {
    apps: *mut UwsgiApp,
    count: *mut i32,
    /// The app of the empty mountpoint, else the first one.
    default_app: AtomicI32,
}

// SAFETY: filled by one thread while apps are loaded; later only counters inside the records change, atomically.
unsafe impl Send for AppTable {}
// SAFETY: as above.
unsafe impl Sync for AppTable {}

impl AppTable {
    /// The table of this process.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<AppTable> = OnceLock::new();
        TABLE.get_or_init(|| {
            // SAFETY: all fields are pointers, integers and byte arrays: zero is valid.
            let apps: Vec<UwsgiApp> = (0..MAX_APPS).map(|_| unsafe { std::mem::zeroed() }).collect();
            AppTable {
                apps: Box::leak(apps.into_boxed_slice()).as_mut_ptr(),
                count: Box::leak(Box::new(0)),
                default_app: AtomicI32::new(-1),
            }
        })
    }

    /// The records, for C.
    pub fn records(&self) -> *mut UwsgiApp {
        self.apps
    }

    /// The counter that C plugins see.
    pub fn count_place(&self) -> *mut i32 {
        self.count
    }

    /// How many apps there are.
    pub fn len(&self) -> usize {
        // SAFETY: the place lives as long as the process.
        unsafe { *self.count }.max(0) as usize
    }

    /// Whether nothing was loaded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The app of a request that names none.
    pub fn default_app(&self) -> i32 {
        self.default_app.load(Ordering::Relaxed)
    }

    /// A record, if the id is in use.
    pub fn app(&self, id: i32) -> Option<*mut UwsgiApp> {
        let index = usize::try_from(id).ok().filter(|i| *i < self.len())?;
        // SAFETY: inside the table.
        Some(unsafe { self.apps.add(index) })
    }

    /// Registers an app; `None` when the table is full or the mountpoint longer than 254 bytes.
    pub fn add(
        &self,
        id: i32,
        modifier1: u8,
        mountpoint: &[u8],
        interpreter: *mut std::ffi::c_void,
        callable: *mut std::ffi::c_void,
    ) -> Option<*mut UwsgiApp> {
        let index = usize::try_from(id).ok().filter(|i| *i < MAX_APPS)?;
        let len = u8::try_from(mountpoint.len()).ok().filter(|n| *n < 255)?;
        // SAFETY: inside the table; apps are loaded by one thread.
        unsafe {
            let app = self.apps.add(index);
            *app = std::mem::zeroed();
            (*app).modifier1 = modifier1;
            std::ptr::copy_nonoverlapping(
                mountpoint.as_ptr(),
                (*app).mountpoint.as_mut_ptr().cast(),
                mountpoint.len(),
            );
            (*app).mountpoint_len = len;
            (*app).interpreter = interpreter;
            (*app).callable = callable;
            (*app).started_at = crate::exports::now();
            publish(index, &*app);
            *self.count = (*self.count).max(id + 1);
            // whoever came first stays: a second plugin's application answers under its own modifier1
            let is_taken = self
                .app(self.default_app())
                .is_some_and(|d| (*d).mountpoint_len == 0 && (*d).modifier1 != modifier1);
            if self.default_app() < 0 || (mountpoint.is_empty() && !is_taken) {
                self.default_app.store(id, Ordering::Relaxed);
                (*crate::server::view()).default_app = id;
            }
            Some(app)
        }
    }

    /// The app mounted exactly at a mountpoint.
    pub fn find(&self, mountpoint: &[u8], modifier1: i32) -> Option<i32> {
        (0..self.len() as i32).find(|id| {
            // SAFETY: the id is in use; mountpoint and length are kept in step by `add`.
            unsafe {
                let app = &*self.apps.add(*id as usize);
                !app.callable.is_null()
                    && (modifier1 < 0 || i32::from(app.modifier1) == modifier1)
                    && mount_of(app) == mountpoint
            }
        })
    }

    /// The longest mountpoint that is a path prefix of `path`, whole segments only (`--manage-script-name`).
    pub fn longest_mount(&self, path: &[u8]) -> Option<usize> {
        (0..self.len())
            .filter_map(|i| {
                // SAFETY: inside the table.
                let mount = mount_of(unsafe { &*self.apps.add(i) });
                let mount = mount.strip_suffix(b"/").unwrap_or(mount);
                let rest = path.strip_prefix(mount)?;
                (!mount.is_empty() && (rest.is_empty() || rest[0] == b'/')).then_some(mount.len())
            })
            .max()
    }
}

/// Puts what others may know of an app into the row of this process's worker (the master's is number 0): counters
/// stay, addresses of this process do not get there.
fn publish(index: usize, app: &UwsgiApp) {
    let Some(server) = server::try_server() else {
        return;
    };
    let worker = server::worker_id();
    let row = server.shared.app(worker, index);
    // SAFETY: rows of this worker; a reader may see an old or a new text.
    unsafe {
        (*row).modifier1 = app.modifier1;
        (*row).mountpoint = app.mountpoint;
        (*row).mountpoint_len = app.mountpoint_len;
        (*row).started_at = app.started_at;
        (*row).startup_time = app.startup_time;
        (*row).chdir = app.chdir;
        let record = server.shared.worker(worker);
        (*record).apps_cnt = (*record).apps_cnt.max(index as i32 + 1);
    }
}

/// The apps that this process has, into the row of its worker; when the worker begins to take requests, for what the
/// master has loaded, and for what plugins wrote into the records afterwards.
pub fn publish_all() {
    let table = AppTable::get();
    for index in 0..table.len() {
        // SAFETY: inside the table.
        publish(index, unsafe { &*table.apps.add(index) });
    }
}

/// A request of an app is over; `alone`: no other thread of the worker counts.
pub fn count_request(app: i32, alone: bool) {
    // SAFETY: a row in shared memory.
    count(app, alone, |row| unsafe { counter(&raw mut (*row).requests) });
}

/// An exception came out of an app.
pub fn count_exception(app: i32) {
    // SAFETY: a row in shared memory.
    count(app, false, |row| unsafe { counter(&raw mut (*row).exceptions) });
}

fn count(app: i32, alone: bool, field: impl Fn(*mut UwsgiApp) -> &'static AtomicU64) {
    if let Some(index) = usize::try_from(app).ok().filter(|i| *i < MAX_APPS) {
        add(field(server::server().shared.app(server::worker_id(), index)), 1, alone);
    }
}

fn mount_of(app: &UwsgiApp) -> &[u8] {
    // SAFETY: `c_char` and `u8` have one layout.
    let all: &[u8; 255] = unsafe { &*(&raw const app.mountpoint).cast() };
    &all[..usize::from(app.mountpoint_len)]
}
