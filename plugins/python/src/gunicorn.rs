//! `--gunicorn-conf`, first half: what the file's settings mean for the options of the server. They must be known
//! before anything is started, also before the place, user and environment that Python will have; so the file is run
//! in a short-lived child of the right Python, which answers in a memory file. Its hooks are taken later, in the
//! master, where the core runs the file again.

use crate::{options, stage2};
use rsgi_plugin_api::{log, sys};
use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;

/// The hook: offers the file's settings as defaults; -1 when the file cannot be used (said).
pub fn configure() -> c_int {
    let Some(file) = options::last("gunicorn-conf") else {
        return 0;
    };
    let Ok(path) = CString::new(file.as_bytes()) else {
        return -1;
    };
    match ask_child(&path) {
        Ok(answer) => take(&answer),
        Err(line) => {
            log::line(&format!("--gunicorn-conf {}: {line}", file.display()));
            -1
        }
    }
}

/// A file without a name, for what the child has to say.
fn memory_file(name: &CStr) -> Result<File, String> {
    // SAFETY: a NUL-terminated name; the descriptor is new and ours.
    unsafe {
        match libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(format!("memfd_create(): {}", std::io::Error::last_os_error())),
            fd => Ok(File::from_raw_fd(fd)),
        }
    }
}

/// Runs the file in a child; its answer.
fn ask_child(path: &CStr) -> Result<Vec<u8>, String> {
    let (mut answer, mut output) = (memory_file(c"gunicorn settings")?, memory_file(c"gunicorn output")?);
    // SAFETY: the first process has one thread while it reads its configuration; the child goes on as a copy of it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: both descriptors are open; what Python and the file print is shown only if they fail.
        unsafe {
            libc::dup2(output.as_raw_fd(), 1);
            libc::dup2(output.as_raw_fd(), 2);
        }
        let code = match stage2::start() {
            // SAFETY: the core's own function, with a text that outlives the call.
            Some(hooks) => unsafe { (hooks.gunicorn_settings)(path.as_ptr(), answer.as_raw_fd()) },
            None => 1,
        };
        // SAFETY: ends the child without the exit work of the server, which is its parent's.
        unsafe { libc::_exit(code) }
    }
    if child < 0 {
        return Err(format!("fork(): {}", std::io::Error::last_os_error()));
    }
    let mut status = 0;
    // SAFETY: our own child.
    while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return Err("the child that runs the file was lost".to_owned());
        }
    }
    if status != 0 {
        log::line(String::from_utf8_lossy(contents(&mut output).trim_ascii_end()).as_ref());
        return Err("it cannot be run (the reason stands above)".to_owned());
    }
    Ok(contents(&mut answer))
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    bytes
}

/// One record of the answer: five texts, each ended by NUL.
#[derive(Debug, PartialEq, Eq)]
struct Record<'a> {
    /// `option`, `flag` or `note`.
    kind: &'a [u8],
    name: &'a CStr,
    value: &'a CStr,
    unless: &'a CStr,
    origin: &'a CStr,
}

fn records(answer: &[u8]) -> Vec<Record<'_>> {
    let texts: Vec<&CStr> = answer
        .split_inclusive(|b| *b == 0)
        .filter_map(|text| CStr::from_bytes_with_nul(text).ok())
        .collect();
    texts
        .chunks_exact(5)
        .map(|five| Record {
            kind: five[0].to_bytes(),
            name: five[1],
            value: five[2],
            unless: five[3],
            origin: five[4],
        })
        .collect()
}

/// Offers what the child found; its notes go to the log.
fn take(answer: &[u8]) -> c_int {
    for record in records(answer) {
        if record.kind == b"note" {
            log::line(&format!(
                "{}: {}",
                record.origin.to_string_lossy(),
                record.value.to_string_lossy()
            ));
            continue;
        }
        let value = match record.kind {
            b"flag" => std::ptr::null(),
            _ => record.value.as_ptr(),
        };
        // SAFETY: NUL-terminated texts; the host copies them. We are in `configure`.
        let taken = unsafe {
            sys::rsgi_default_option(
                record.name.as_ptr(),
                value,
                record.unless.as_ptr(),
                record.origin.as_ptr(),
            )
        };
        if taken < 0 {
            log::line(&format!(
                "{}: rsgi has no option {}; the setting has no effect",
                record.origin.to_string_lossy(),
                record.name.to_string_lossy()
            ));
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_into_its_records() {
        let answer = b"option\0processes\x004\0\0conf.py:3\0flag\0lazy-apps\0\0\0conf.py\0rubbish";
        let found = records(answer);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            Record {
                kind: b"option",
                name: c"processes",
                value: c"4",
                unless: c"",
                origin: c"conf.py:3"
            }
        );
        assert_eq!(found[1].kind, b"flag");
        assert!(records(b"").is_empty());
    }

    #[test]
    fn a_memory_file_gives_back_what_was_written() {
        use std::io::Write;
        let mut file = memory_file(c"test").unwrap();
        file.write_all(b"text").unwrap();
        assert_eq!(contents(&mut file), b"text");
    }
}
