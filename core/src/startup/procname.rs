//! Process titles, as `ps` shows them: written over the arguments that the kernel gave us. Behind a title of ours
//! stands what the process is doing, unless it just waits for requests.

use crate::settings::ProcessNames;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the arguments lie, and how long they are, the environment behind them included.
struct Place(usize, usize);

static PLACE: OnceLock<Option<Place>> = OnceLock::new();
/// Where the state goes: the address behind the title; 0: the title is not ours to add to.
static BEHIND_TITLE: AtomicUsize = AtomicUsize::new(0);
/// Room for a state.
const STATE: usize = 12;

/// What a process does, for its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for requests, or for what there is to do.
    Idle,
    /// It loads what it needs.
    Starting,
    /// It serves a request.
    Busy,
    /// It was told to hold still.
    Paused,
    /// The master tries a new image.
    Reloading,
    /// It finishes.
    Leaving,
}

impl State {
    fn text(self) -> &'static [u8; STATE] {
        match self {
            Self::Idle => b"\0\0\0\0\0\0\0\0\0\0\0\0",
            Self::Starting => b" (starting)\0",
            Self::Busy => b" (busy)\0\0\0\0\0",
            Self::Paused => b" (paused)\0\0\0",
            Self::Reloading => b" (reload)\0\0\0",
            Self::Leaving => b" (leaving)\0\0",
        }
    }
}

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
    BEHIND_TITLE.store(0, Ordering::Relaxed);
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

/// Adds what the process does to its title; costs next to nothing, and nothing where titles are not ours.
pub fn state(state: State) {
    let address = BEHIND_TITLE.load(Ordering::Relaxed);
    if address != 0 {
        // SAFETY: inside the argument area, see `set_own`. Threads of a worker may write at once: the text is then
        // one or the other, or for a moment some of both.
        unsafe { std::ptr::copy_nonoverlapping(state.text().as_ptr(), address as *mut u8, STATE) };
    }
}

/// A title of ours, with room for a state behind it.
fn set_own(names: &ProcessNames, title: &str) {
    let prefix = names.prefix.as_deref().unwrap_or("");
    let append = names.append.as_deref().unwrap_or("");
    let text = format!("{prefix}{title}{append}");
    set(text.as_bytes());
    if let Some(Place(start, size)) = place()
        && text.len() + STATE < *size
    {
        BEHIND_TITLE.store(start + text.len(), Ordering::Relaxed);
    }
}

fn is_wanted(names: &ProcessNames) -> bool {
    names.auto || names.name.is_some() || names.prefix.is_some() || names.append.is_some()
}

fn title(names: &ProcessNames, own: &str) {
    match &names.name {
        Some(name) => set(name.as_bytes()),
        None if is_wanted(names) => set_own(names, own),
        None => {}
    }
}

/// The master's title.
pub fn master(names: &ProcessNames) {
    match &names.master {
        Some(name) => set(name.as_bytes()),
        None => title(names, "rsgi master"),
    }
}

/// A worker's title.
pub fn worker(names: &ProcessNames, id: usize) {
    title(names, &format!("rsgi worker {id}"));
}

/// A mule's title.
pub fn mule(names: &ProcessNames, id: usize) {
    title(names, &format!("rsgi mule {id}"));
}

/// A spooler's title.
pub fn spooler(names: &ProcessNames, number: usize) {
    title(names, &format!("rsgi spooler {number}"));
}

/// The emperor's title.
pub fn emperor(names: &ProcessNames, own: Option<&str>) {
    match own {
        Some(name) => set(name.as_bytes()),
        None => title(names, "rsgi emperor"),
    }
}

/// A gateway's title.
pub fn gateway(names: &ProcessNames, name: &str, number: i32) {
    title(names, &format!("rsgi {name} {number}"));
}
