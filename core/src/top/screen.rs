//! The terminal: an alternate screen in raw mode, given back when dropped; and keys with a time limit.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

nix::ioctl_read_bad!(
    /// Rows and columns of a terminal.
    window_size,
    libc::TIOCGWINSZ,
    libc::winsize
);

/// A terminal that shows frames.
pub struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes the terminal.
    pub fn open() -> Result<Self, String> {
        let before = tcgetattr(stdin().as_fd())
            .map_err(|_| "standard input is no terminal; rsgi top --once prints one frame".to_owned())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &raw).map_err(|e| format!("tcsetattr(): {}", e.desc()))?;
        let screen = Self { before };
        // the other screen, without a cursor
        screen.put("\u{1b}[?1049h\u{1b}[?25l")?;
        Ok(screen)
    }

    fn put(&self, text: &str) -> Result<(), String> {
        let mut out = stdout().lock();
        let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        done.map_err(|e| format!("cannot write to the terminal: {e}"))
    }

    /// Shows the lines, as much of them as there is room.
    pub fn show(&self, lines: &[String]) -> Result<(), String> {
        let (rows, columns) = size();
        let mut text = String::from("\u{1b}[H");
        for line in lines.iter().take(rows.saturating_sub(1)) {
            text.extend(line.chars().take(columns));
            text += "\u{1b}[K\r\n";
        }
        // what is left of a longer frame
        text += "\u{1b}[J";
        self.put(&text)
    }

    /// A key, or nothing in that time.
    pub fn key(&self, patience: Duration) -> Result<Option<char>, String> {
        let input = stdin();
        let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, limit) {
            Ok(0) | Err(nix::Error::EINTR) => Ok(None),
            Err(e) => Err(format!("poll(): {}", e.desc())),
            Ok(_) => {
                let mut byte = [0];
                match input.lock().read(&mut byte) {
                    Ok(1) => Ok(Some(char::from(byte[0]))),
                    // the terminal is gone
                    _ => Ok(Some('q')),
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.put("\u{1b}[?25h\u{1b}[?1049l");
        let _ = tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

/// Rows and columns; what every terminal has when it does not tell.
fn size() -> (usize, usize) {
    // SAFETY: a plain record of numbers, for which zeroes are valid.
    let mut found: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: standard output is open, the record lives until the call returns.
    match unsafe { window_size(1, &mut found) } {
        Ok(_) if found.ws_row > 0 && found.ws_col > 0 => (usize::from(found.ws_row), usize::from(found.ws_col)),
        _ => (24, 80),
    }
}
