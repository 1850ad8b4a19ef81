//! Vassals that plugins bring: kinds of sources (`--emperor SCHEME://...`), and what they ask for. What a plugin gives as
//! text becomes a file in a folder of this emperor, which the vassal reads. All in the emperor's only thread, but for the
//! registration in the start.

use super::scan::Found;
use crate::plugin::inside::Brought;
use crate::server::keep;
use crate::{exports, say};
use rsgi_plugin_api::abi::{UwsgiEmperorScanner, UwsgiInstance, UwsgiMonitorFn};
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A kind of sources.
#[derive(Clone)]
struct Kind {
    scheme: String,
    init: Option<Brought<UwsgiMonitorFn>>,
    look: Option<Brought<UwsgiMonitorFn>>,
}

/// A source of a plugin's kind.
struct Scanner {
    text: String,
    kind: Kind,
    record: *mut UwsgiEmperorScanner,
}

/// A vassal that a plugin asks for.
struct Asked {
    found: Found,
    record: *mut UwsgiInstance,
}

#[derive(Default)]
struct Table {
    kinds: Vec<Kind>,
    scanners: Vec<Scanner>,
    asked: Vec<Asked>,
    /// Changes so far, for stamps.
    changes: u64,
}

// SAFETY: records are never freed while they are in the table, and used by the emperor's one thread.
unsafe impl Send for Table {}

static TABLE: Mutex<Table> = Mutex::new(Table {
    kinds: Vec::new(),
    scanners: Vec::new(),
    asked: Vec::new(),
    changes: 0,
});

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A kind of sources.
pub fn register(scheme: &str, init: Option<UwsgiMonitorFn>, look: Option<UwsgiMonitorFn>) {
    let scheme = scheme.trim_end_matches("://").to_owned();
    let brought = |func: UwsgiMonitorFn| Brought::new("emperor monitor", &scheme, func);
    let (init, look) = (init.map(brought), look.map(brought));
    table().kinds.push(Kind { scheme, init, look });
}

/// The schemes, for lists.
pub fn schemes() -> Vec<String> {
    table().kinds.iter().map(|kind| kind.scheme.clone()).collect()
}

/// Whether a plugin brings this source.
pub fn is_known(text: &str) -> bool {
    kind_of(text).is_some()
}

fn kind_of(text: &str) -> Option<Kind> {
    let (scheme, _) = text.split_once("://")?;
    table().kinds.iter().find(|kind| kind.scheme == scheme).cloned()
}

/// Looks at a source; the first time it is made ready. The descriptor to watch, and its number, when there is a new one.
pub fn look(text: &str) -> Option<(RawFd, usize)> {
    let known = table().scanners.iter().position(|s| s.text == text);
    // no lock is held while a plugin runs: it calls back
    let (number, is_new) = match known {
        Some(number) => (number, false),
        None => {
            let kind = kind_of(text)?;
            let record = Box::into_raw(Box::new(UwsgiEmperorScanner {
                arg: keep(text),
                fd: -1,
                data: null_mut(),
                event_func: None,
                // opaque and never dereferenced
                monitor: std::ptr::NonNull::dangling().as_ptr(),
                next: null_mut(),
            }));
            if let Some(init) = kind.init {
                // SAFETY: in the emperor, with a record that stays, as the header states.
                init.call(|init| unsafe { init(record) });
            }
            let mut table = table();
            let text = text.to_owned();
            table.scanners.push(Scanner { text, kind, record });
            (table.scanners.len() - 1, true)
        }
    };
    let (record, look) = {
        let table = table();
        (table.scanners[number].record, table.scanners[number].kind.look)
    };
    if let Some(look) = look {
        // SAFETY: as above.
        look.call(|look| unsafe { look(record) });
    }
    // SAFETY: as above.
    let fd = unsafe { (*record).fd };
    (is_new && fd >= 0).then_some((fd, number))
}

/// The descriptor of a source has news.
pub fn on_event(number: usize) {
    let Some(record) = table().scanners.get(number).map(|s| s.record) else {
        return;
    };
    // SAFETY: in the emperor, with a record that stays, as the header states.
    unsafe {
        if let Some(event) = (*record).event_func {
            Brought::of(c"emperor monitor", event).call(|event| event(record));
        }
    }
}

/// The vassals that plugins ask for now.
pub fn found() -> Vec<Found> {
    table().asked.iter().map(|asked| asked.found.clone()).collect()
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("rsgi-emperor-{}", std::process::id()))
}

/// Removes what was written for vassals; at the emperor's end.
pub fn clean() {
    if !table().scanners.is_empty() {
        let _ = std::fs::remove_dir_all(folder());
    }
}

/// Writes a vassal's configuration.
fn write(name: &str, config: &[u8], owner: (u32, u32)) -> std::io::Result<PathBuf> {
    use std::io::Write;
    let folder = folder();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&folder);
    made?;
    let file = folder.join(Path::new(name).file_name().unwrap_or_default());
    let _ = std::fs::remove_file(&file);
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)?
        .write_all(config)?;
    if owner != (0, 0) && nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(owner.0), Some(owner.1))?;
    }
    Ok(file)
}

/// A vassal of this name, if a plugin has asked for it.
pub fn find(name: &str) -> *mut UwsgiInstance {
    let table = table();
    let asked = table.asked.iter().find(|asked| asked.found.id == name);
    asked.map_or(null_mut(), |asked| asked.record)
}

/// One more vassal; without a text its name is a file.
pub fn add(name: &str, modified: i64, config: Option<&[u8]>, owner: (u32, u32)) {
    if !find(name).is_null() {
        return;
    }
    let file = match config {
        None => Ok(PathBuf::from(name)),
        Some(config) => write(name, config, owner),
    };
    let file = match file {
        Ok(file) => file,
        Err(e) => return say!("[emperor] vassal {name}: cannot write its configuration: {e}"),
    };
    // SAFETY: all fields are pointers and integers: zero is valid.
    let mut record: UwsgiInstance = unsafe { std::mem::zeroed() };
    describe(&mut record, name, owner);
    record.born = exports::now();
    record.last_mod = modified;
    record.use_config = i32::from(config.is_some());
    let mut table = table();
    table.changes += 1;
    let found = Found {
        id: name.to_owned(),
        source: 0,
        folder: None,
        file,
        stamp: (modified, table.changes as i64, 0),
        modified,
        uid: owner.0,
        gid: owner.1,
        executable: false,
        is_brought: true,
    };
    let record = Box::into_raw(Box::new(record));
    table.asked.push(Asked { found, record });
}

/// Writes down whose record it is.
pub fn describe(record: &mut UwsgiInstance, name: &str, owner: (u32, u32)) {
    for (to, from) in record.name.iter_mut().zip(name.bytes().take(254)) {
        *to = from as std::ffi::c_char;
    }
    (record.pipe, record.pipe_config) = ([-1, -1], [-1, -1]);
    record.on_demand_fd = -1;
    (record.uid, record.gid) = owner;
}

/// A vassal is not wanted any more. Its record stays, for a plugin that still looks at it.
pub fn stop(record: *mut UwsgiInstance) {
    let mut table = table();
    if let Some(at) = table.asked.iter().position(|asked| std::ptr::eq(asked.record, record)) {
        table.asked.remove(at);
    }
}

/// A vassal is to be started anew, with the text that its record has now.
///
/// # Safety
/// The record is NULL or one of [`find`].
pub unsafe fn respawn(record: *mut UwsgiInstance, modified: i64) {
    let mut table = table();
    table.changes += 1;
    let changes = table.changes;
    let Some(asked) = table.asked.iter_mut().find(|asked| std::ptr::eq(asked.record, record)) else {
        return;
    };
    let found = &mut asked.found;
    found.stamp = (modified, changes as i64, 0);
    found.modified = modified;
    // SAFETY: by the contract; a plugin sets text and length together.
    let config = unsafe {
        (*record).last_mod = modified;
        (*record).respawns += 1;
        (!(*record).config.is_null()).then(|| exports::bytes_of((*record).config, (*record).config_len))
    };
    if let Some(Err(e)) = config.map(|config| write(&found.id, config, (found.uid, found.gid))) {
        say!("[emperor] vassal {}: cannot write its configuration: {e}", found.id);
    }
}
