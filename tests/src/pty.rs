//! A terminal that the test sits at: what a program writes to it is kept, what the test types is read by the program.

use crate::PATIENCE;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

/// Our end of a terminal.
pub struct Terminal {
    ours: File,
    theirs: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// A terminal of 100 columns and 30 rows.
    ///
    /// # Panics
    /// The system has no more of them.
    pub fn new() -> Self {
        let (mut ours, mut theirs) = (-1, -1);
        let size = libc::winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: two places for descriptors, no name, no settings, a size.
        let made = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
        assert_eq!(made, 0, "openpty(): {}", std::io::Error::last_os_error());
        // SAFETY: new descriptors of our own.
        let (ours, theirs) = unsafe {
            libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC);
            (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, kept) = (ours.try_clone().expect("a descriptor is left"), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // ends with an error when the last process at the other end has gone
            while let Ok(count) = reader.read(&mut part) {
                kept.lock().unwrap_or_else(|e| e.into_inner()).extend(&part[..count]);
            }
        });
        Self { ours, theirs, seen }
    }

    /// The other end, for a program's standard input or output.
    ///
    /// # Panics
    /// No descriptor is left.
    pub fn end(&self) -> Stdio {
        self.theirs.try_clone().expect("a descriptor is left").into()
    }

    /// Types.
    ///
    /// # Panics
    /// Nobody reads.
    pub fn write(&mut self, text: &str) {
        self.ours.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// All that was written so far, escape sequences included.
    pub fn text(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Waits until a text was written so many times.
    ///
    /// # Panics
    /// It does not come.
    pub fn wait(&self, text: &str, count: usize) {
        let end = std::time::Instant::now() + PATIENCE;
        while self.text().matches(text).count() < count {
            assert!(
                std::time::Instant::now() < end,
                "no {text:?} ({count} times) on the terminal:\n{}",
                self.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
