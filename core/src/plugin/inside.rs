//! Which hook of which plugin a thread is inside, so that a process that ends there says so: by a signal, by `exit()`,
//! or because it is over time. What the request hook is doing stands in its core's slot instead, which the master reads.

use rsgi_plugin_api::abi::UwsgiPlugin;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A hook in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The plugin's name.
    pub plugin: &'static CStr,
    /// The hook's.
    pub hook: &'static CStr,
}

impl Place {
    /// In a hook of this plugin.
    pub fn new(plugin: &'static UwsgiPlugin, hook: &'static CStr) -> Self {
        let plugin = match plugin.name.is_null() {
            true => c"?",
            // SAFETY: plugins are never unloaded and `name` is a constant text by the header.
            false => unsafe { CStr::from_ptr(plugin.name) },
        };
        Self { plugin, hook }
    }
}

/// What the threads of this process are inside, for those who ask from another one: the plugin's name and the hook's.
/// Threads beyond so many share places.
static ALL: [[AtomicPtr<c_char>; 2]; 64] = [const { [const { AtomicPtr::new(null_mut()) }; 2] }; 64];
/// Threads that have a place.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Read by signal handlers: no destructor, no lazy start.
    static INSIDE: Cell<Option<Place>> = const { Cell::new(None) };
    /// This thread's place in [`ALL`].
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The hook that this thread is inside, mostly none.
pub fn here() -> Option<Place> {
    INSIDE.get()
}

/// This thread is inside a hook until the value is dropped.
pub struct Inside(Option<Place>);

impl Inside {
    /// Around the call of a hook.
    pub fn enter(place: Place) -> Self {
        show(Some(place));
        Self(INSIDE.replace(Some(place)))
    }
}

fn show(place: Option<Place>) {
    let own = OWN.get().unwrap_or_else(|| {
        let own = COUNT.fetch_add(1, Ordering::Relaxed) % ALL.len();
        OWN.set(Some(own));
        own
    });
    let texts = place.map_or([null_mut(); 2], |p| [p.plugin, p.hook].map(|t| t.as_ptr().cast_mut()));
    for (all, text) in ALL[own].iter().zip(texts) {
        all.store(text, Ordering::Relaxed);
    }
}

/// What any thread is inside.
fn everywhere() -> impl Iterator<Item = Place> {
    let text = |place: &AtomicPtr<c_char>| {
        let text = place.load(Ordering::Relaxed);
        // SAFETY: such a text lives as long as the process.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
    };
    ALL.iter().filter_map(move |[plugin, hook]| {
        Some(Place {
            plugin: text(plugin)?,
            hook: text(hook)?,
        })
    })
}

impl Drop for Inside {
    fn drop(&mut self) {
        show(self.0);
        INSIDE.set(self.0);
    }
}

/// Signals of a crash.
const CRASHES: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// What was done at them before; the default if nothing.
static BEFORE: OnceLock<Vec<(c_int, libc::sigaction)>> = OnceLock::new();

/// From now on, and in all children, a thread that crashes or exits inside a hook says so first.
pub fn watch() {
    BEFORE.get_or_init(|| {
        let install = |signal: &c_int| {
            // SAFETY: a struct of integers; the handler makes async-signal-safe calls alone.
            unsafe {
                let (mut action, mut before): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
                action.sa_sigaction = on_crash as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(*signal, &action, &mut before);
                (*signal, before)
            }
        };
        // SAFETY: a function that lives as long as the process.
        unsafe { libc::atexit(on_exit) };
        CRASHES.iter().map(install).collect()
    });
}

extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    tell(signal);
    let before = BEFORE.get().and_then(|all| all.iter().find(|(s, _)| *s == signal));
    // SAFETY: async-signal-safe calls with what the system gave. What happened happens again when this returns, and the
    // action before takes it; a signal that somebody sent has to be sent again.
    unsafe {
        match before {
            Some((_, action)) => drop(libc::sigaction(signal, action, std::ptr::null_mut())),
            None => drop(libc::signal(signal, libc::SIG_DFL)),
        }
        if (*info).si_code <= 0 && signal != libc::SIGABRT {
            libc::raise(signal);
        }
    }
}

/// In a signal handler: the hook that this thread is inside, if a signal is about to end the process there.
pub fn tell(signal: c_int) {
    let what = match signal {
        libc::SIGSEGV => "segmentation fault",
        libc::SIGBUS => "bus error",
        libc::SIGILL => "illegal instruction",
        libc::SIGFPE => "arithmetic error",
        _ => "abort",
    };
    if let Some(place) = here() {
        say(place, what);
    }
}

/// In a signal handler: the same when the process has been asked for too long for a sign of life, of all its threads.
pub fn tell_over_time() {
    everywhere().for_each(|place| say(place, "over time"));
}

fn say(Place { plugin, hook }: Place, what: &str) {
    let (plugin, hook) = (plugin.to_bytes(), hook.to_bytes());
    write(&[b"plugin ", plugin, b": ", what.as_bytes(), b" in its hook ", hook]);
}

/// A plugin asks for an orderly end of the process. Mistakes of applications have their own words.
pub fn tell_exit(code: c_int) {
    let told = [0, crate::startup::NEED_APP, crate::startup::APP_LOAD];
    if let Some(Place { plugin, hook }) = here().filter(|_| !told.contains(&code)) {
        let (plugin, hook) = (plugin.to_string_lossy(), hook.to_string_lossy());
        crate::say!("plugin {plugin}: exit({code}) in its hook {hook}");
    }
    INSIDE.set(None);
}

/// `exit()` of the C library, which the server itself never calls.
extern "C" fn on_exit() {
    if let Some(place) = here() {
        say(place, "exit()");
    }
}

/// A line with async-signal-safe calls alone, in one piece.
fn write(parts: &[&[u8]]) {
    let mut line = [0u8; 512];
    let mut len = 0;
    for part in parts.iter().copied().chain([&b"\n"[..]]) {
        let room = &mut line[len..];
        let taken = part.len().min(room.len());
        room[..taken].copy_from_slice(&part[..taken]);
        len += taken;
    }
    // SAFETY: so many bytes of ours.
    unsafe { libc::write(crate::log::standard::of_this_process(), line.as_ptr().cast(), len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_may_lie_in_hooks() {
        let place = |hook| Place { plugin: c"p", hook };
        assert_eq!(here(), None);
        let outer = Inside::enter(place(c"init"));
        {
            let _inner = Inside::enter(place(c"rpc"));
            assert_eq!(here(), Some(place(c"rpc")));
        }
        assert_eq!(here(), Some(place(c"init")));
        let other = std::thread::spawn(|| {
            let _own = Inside::enter(Place {
                plugin: c"q",
                hook: c"worker",
            });
            (here(), everywhere().any(|p| p.plugin == c"p"))
        });
        let (its, sees) = other.join().unwrap();
        assert_eq!((its.map(|p| p.hook), sees), (Some(c"worker"), true));
        assert!(everywhere().all(|p| p.plugin != c"q"));
        drop(outer);
        assert_eq!(here(), None);
    }
}
