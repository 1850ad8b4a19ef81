//! Functions of loaded plugins and libraries, called by name.

use super::Subject;
use crate::plugin::inside::{Inside, Place};
use std::ffi::{CString, c_char, c_int, c_void};

/// Where a function lies.
///
/// # Errors
/// Nothing that is loaded has it.
pub fn address(name: &str) -> Result<*mut c_void, String> {
    let symbol = CString::new(name).unwrap_or_default();
    // SAFETY: looks a name up in what is loaded.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    match address.is_null() {
        true => Err(format!(
            "unable to call function {name:?}: no loaded plugin or library has it"
        )),
        false => Ok(address),
    }
}

/// While a function runs.
pub(super) fn inside(name: &str, address: *const c_void) -> Inside {
    Inside::enter(Place::named("function", name, address))
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn kept(text: &str) -> *mut c_char {
    // for the life of the process: the function may keep it
    crate::server::keep(text)
}

/// `void f(char *)`
pub(super) fn function(text: &str) -> Result<(), String> {
    let (name, argument) = split(text);
    let address = address(name)?;
    // SAFETY: uWSGI's contract of `call`.
    unsafe {
        let _inside = inside(name, address);
        let f: unsafe extern "C" fn(*mut c_char) = std::mem::transmute(address);
        f(kept(argument));
    }
    Ok(())
}

/// `void f(void)`
///
/// # Errors
/// Nothing that is loaded has it.
pub fn bare(name: &str) -> Result<(), String> {
    let address = address(name)?;
    let _inside = inside(name, address);
    // SAFETY: the contract of a mule named `f()`.
    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(address)() };
    Ok(())
}

fn judged(name: &str, result: c_int) -> Result<(), String> {
    match result {
        0 => Ok(()),
        code => Err(format!("{name} returned {code}")),
    }
}

/// `int f(char *)`; not 0 is a failure.
pub(super) fn with_result(text: &str) -> Result<(), String> {
    let (name, argument) = split(text);
    let address = address(name)?;
    // SAFETY: uWSGI's contract of `callret`.
    let result = unsafe {
        let _inside = inside(name, address);
        let f: unsafe extern "C" fn(*mut c_char) -> c_int = std::mem::transmute(address);
        f(kept(argument))
    };
    judged(name, result)
}

fn parsed(text: &str) -> Result<(&str, *mut c_void, c_int), String> {
    let (name, argument) = split(text);
    let number = argument
        .trim()
        .parse()
        .map_err(|_| format!("{argument:?} is no number"))?;
    Ok((name, address(name)?, number))
}

/// `void f(int)`
pub(super) fn number(text: &str) -> Result<(), String> {
    let (name, address, number) = parsed(text)?;
    // SAFETY: uWSGI's contract of `callint`.
    unsafe {
        let _inside = inside(name, address);
        let f: unsafe extern "C" fn(c_int) = std::mem::transmute(address);
        f(number);
    }
    Ok(())
}

/// `int f(int)`; not 0 is a failure.
pub(super) fn number_with_result(text: &str) -> Result<(), String> {
    let (name, address, number) = parsed(text)?;
    // SAFETY: uWSGI's contract of `callintret`.
    let result = unsafe {
        let _inside = inside(name, address);
        let f: unsafe extern "C" fn(c_int) -> c_int = std::mem::transmute(address);
        f(number)
    };
    judged(name, result)
}

/// Functions about a vassal: 0 `f()`, 1 `f(name)`, 2 `f(name, pid)`, 3 `f(name, uid, gid)`, 4 `f(name, pid, uid, gid)`.
pub(super) fn about(name: &str, count: u8, subject: Option<&Subject<'_>>) -> Result<(), String> {
    let address = address(name)?;
    let Some(subject) = subject else {
        return Err(format!("{name} wants a vassal, and there is none"));
    };
    let (id, pid, uid, gid) = (kept(subject.name), subject.pid, subject.uid, subject.gid);
    // SAFETY: the operator chose the option by the function's parameters.
    unsafe {
        let _inside = inside(name, address);
        match count {
            0 => std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(address)(),
            1 => std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_char)>(address)(id),
            2 => std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_char, i32)>(address)(id, pid),
            3 => std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_char, u32, u32)>(address)(id, uid, gid),
            _ => std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_char, i32, u32, u32)>(address)(
                id, pid, uid, gid,
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_called_and_their_results_judged() {
        assert_eq!(with_result("atoi 0"), Ok(()));
        assert_eq!(with_result("atoi 7"), Err("atoi returned 7".into()));
        assert_eq!(number_with_result("abs -3"), Err("abs returned 3".into()));
        assert_eq!(number("srand 1"), Ok(()));
        assert_eq!(bare("sync"), Ok(()));
        assert!(bare("no_such_function_here").is_err());
        assert!(number("srand x").unwrap_err().contains("no number"));
        assert!(
            function("no_such_function_here")
                .unwrap_err()
                .contains("no_such_function_here")
        );
    }
}
