//! Which function of which plugin a thread is inside, so that a process that ends there says so: by a signal, by `exit()`,
//! or because it is over time; what it could not say, the master reads from [`record`]. What the request hook is doing
//! stands in its core's slot instead.

pub mod end;
pub mod ran;
pub mod record;

use rsgi_plugin_api::abi::UwsgiPlugin;
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::fmt;

/// A function of a plugin in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The plugin's name.
    pub plugin: &'static CStr,
    /// What it is: `hook init`, `option NAME`, `log chunk NAME`.
    pub function: &'static CStr,
}

impl Place {
    /// In a function of this plugin.
    pub fn new(plugin: &'static UwsgiPlugin, function: &'static CStr) -> Self {
        let plugin = match plugin.name.is_null() {
            true => c"?",
            // SAFETY: plugins are never unloaded and `name` is a constant text by the header.
            false => unsafe { CStr::from_ptr(plugin.name) },
        };
        Self { plugin, function }
    }

    /// In a function of a kind that was given to us under a name.
    pub fn named(kind: &str, name: impl AsRef<[u8]>, address: *const c_void) -> Self {
        Self::of_function(record::text(kind, name.as_ref()), address)
    }

    /// In the function at an address, of the plugin in whose file it lies, or else of the one that gives it to us now.
    pub fn of_function(function: &'static CStr, address: *const c_void) -> Self {
        Self {
            plugin: record::owner_of(address),
            function,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plugin, function) = (self.plugin.to_string_lossy(), self.function.to_string_lossy());
        write!(f, "plugin {plugin} in its {function}")
    }
}

thread_local! {
    /// Read by signal handlers: no destructor, no lazy start.
    static INSIDE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// The function that this thread is inside, mostly none.
pub fn here() -> Option<Place> {
    INSIDE.get()
}

/// This thread is inside a function until the value is dropped.
pub struct Inside(Option<Place>);

impl Inside {
    /// Around the call of a function.
    #[inline]
    pub fn enter(place: Place) -> Self {
        Self::change(Some(place))
    }

    /// The same in a signal handler, which may not make room for it.
    fn enter_in_signal(place: Place) -> Self {
        record::show_if_known(Some(place));
        Self(INSIDE.replace(Some(place)))
    }

    /// Around what the server does for a function that has called it and waits.
    pub fn outside() -> Self {
        Self::change(None)
    }

    #[inline]
    fn change(place: Option<Place>) -> Self {
        if let Some(place) = place {
            ran::note(place.plugin.as_ptr());
        }
        record::show(place);
        Self(INSIDE.replace(place))
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        record::show(self.0);
        INSIDE.set(self.0);
    }
}

/// A function that a plugin gave us to call later, and in whose name it runs.
#[derive(Clone, Copy)]
pub struct Brought<F> {
    func: F,
    place: Place,
}

impl<F: Copy> Brought<F> {
    /// A function of a kind, under the name that it was registered by.
    pub fn new(kind: &str, name: impl AsRef<[u8]>, func: F) -> Self {
        Self::of(record::text(kind, name.as_ref()), func)
    }

    /// A function of a kind that has no name.
    pub fn of(function: &'static CStr, func: F) -> Self {
        Self {
            place: Place::of_function(function, address_of(&func)),
            func,
        }
    }

    /// The same of a plugin that is known.
    pub fn named(plugin: &'static UwsgiPlugin, kind: &str, name: impl AsRef<[u8]>, func: F) -> Self {
        Self::hook(plugin, record::text(kind, name.as_ref()), func)
    }

    /// A hook of a plugin.
    pub fn hook(plugin: &'static UwsgiPlugin, hook: &'static CStr, func: F) -> Self {
        Self {
            place: Place::new(plugin, hook),
            func,
        }
    }

    /// The function alone, to be shown to plugins.
    pub fn function(&self) -> F {
        self.func
    }

    /// In whose name it runs, for further functions that it gives.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Calls it: `call` does so with its arguments.
    #[inline]
    pub fn call<T>(&self, call: impl FnOnce(F) -> T) -> T {
        let _inside = Inside::enter(self.place);
        call(self.func)
    }

    /// The same in a signal handler.
    pub fn call_in_signal<T>(&self, call: impl FnOnce(F) -> T) -> T {
        let _inside = Inside::enter_in_signal(self.place);
        call(self.func)
    }
}

impl<F> fmt::Debug for Brought<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

/// Where a function lies.
pub fn address_of<F: Copy>(func: &F) -> *const c_void {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    // SAFETY: of that size, and used with functions alone; an address is only compared.
    unsafe { std::mem::transmute_copy(func) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_may_lie_in_functions() {
        let place = |function| Place { plugin: c"p", function };
        assert_eq!(here(), None);
        let outer = Inside::enter(place(c"hook init"));
        {
            let _inner = Inside::enter(place(c"hook rpc"));
            assert_eq!(here(), Some(place(c"hook rpc")));
            let _ours = Inside::outside();
            assert_eq!(here(), None);
        }
        assert_eq!(here(), Some(place(c"hook init")));
        drop(outer);
        assert_eq!(here(), None);
    }

    #[test]
    fn a_function_is_called_in_the_name_of_whoever_gave_it() {
        extern "C" fn twice(n: i32) -> i32 {
            assert_eq!(here().unwrap().function, c"log chunk twice");
            2 * n
        }
        let brought = Brought::new("log chunk", "twice", twice as extern "C" fn(i32) -> i32);
        assert_eq!(brought.call(|f| f(21)), 42);
        assert_eq!(here(), None);
    }
}
