//! Process titles, as `ps` shows them: written over the arguments that the kernel gave us.

use crate::settings::ProcessNames;
use std::sync::OnceLock;

/// Where the arguments lie, and how long they are, the environment behind them included.
struct Place(usize, usize);

static PLACE: OnceLock<Option<Place>> = OnceLock::new();

/// `arg_start` and `env_end` of this process, from the kernel's own account.
fn place() -> &'static Option<Place> {
    PLACE.get_or_init(|| {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // fields 48 and 49 of proc(5), counted from the state, which is field 3
        let (start, end): (usize, usize) = (fields.get(45)?.parse().ok()?, fields.get(46)?.parse().ok()?);
        (start > 0 && end > start).then_some(Place(start, end - start))
    })
}

/// Sets the title; what does not fit is cut off.
pub fn set(title: &[u8]) {
    let Some(Place(start, size)) = place() else {
        return;
    };
    let len = title.len().min(size - 1);
    // SAFETY: the kernel says that these bytes are this process's argument area, which is writable; the arguments
    // were copied by the runtime and by `server::publish_settings` before anyone gets here.
    unsafe {
        let area = *start as *mut u8;
        std::ptr::copy_nonoverlapping(title.as_ptr(), area, len);
        std::ptr::write_bytes(area.add(len), 0, size - len);
    }
    let mut short: Vec<u8> = title.iter().copied().take(15).collect();
    short.push(0);
    // SAFETY: a NUL-terminated name.
    unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr()) };
}

fn decorated(names: &ProcessNames, title: &str) -> String {
    let prefix = names.prefix.as_deref().unwrap_or("");
    let append = names.append.as_deref().unwrap_or("");
    format!("{prefix}{title}{append}")
}

fn is_wanted(names: &ProcessNames) -> bool {
    names.auto || names.name.is_some() || names.prefix.is_some() || names.append.is_some()
}

/// The master's title.
pub fn master(names: &ProcessNames) {
    match (&names.master, &names.name) {
        (Some(name), _) => set(name.as_bytes()),
        (None, Some(name)) => set(name.as_bytes()),
        _ if is_wanted(names) => set(decorated(names, "rsgi master").as_bytes()),
        _ => {}
    }
}

/// A worker's title.
pub fn worker(names: &ProcessNames, id: usize) {
    match &names.name {
        Some(name) => set(name.as_bytes()),
        None if is_wanted(names) => set(decorated(names, &format!("rsgi worker {id}")).as_bytes()),
        None => {}
    }
}

/// The title of a process that is one of its kind.
pub fn other(names: &ProcessNames, title: &str) {
    if is_wanted(names) {
        set(decorated(names, title).as_bytes());
    }
}

/// A gateway's title.
pub fn gateway(names: &ProcessNames, name: &str, number: i32) {
    match &names.name {
        Some(name) => set(name.as_bytes()),
        None if is_wanted(names) => set(decorated(names, &format!("rsgi {name} {number}")).as_bytes()),
        None => {}
    }
}
