//! Where an answer's bytes go: to the client, waiting until it takes them (a core that serves one request at a time), or
//! as far as the socket takes them now, the rest kept for later (a worker that serves many at once, `worker::events`).

use crate::net::wait;
use crate::server::socket_limit;
use libc::iovec;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Bytes in a row that are kept together.
const JOINED: usize = 64 * 1024;

/// What a file still has to give.
pub struct FilePart {
    file: File,
    offset: i64,
    left: u64,
}

enum Part {
    Bytes { bytes: Vec<u8>, at: usize },
    File(FilePart),
}

/// The way of one request's answer.
#[derive(Default)]
pub struct Outlet {
    /// What the client did not take yet; `None`: it is waited for.
    kept: Option<VecDeque<Part>>,
    /// The client took some of it, or something was kept for the first time, since somebody asked.
    moved: bool,
    /// What somebody else may send, because the answer ends with it.
    rest: Option<FilePart>,
}

impl Outlet {
    /// Never waits: what the client does not take is kept.
    pub fn keeping() -> Self {
        Self {
            kept: Some(VecDeque::new()),
            ..Self::default()
        }
    }

    /// Keeps for now what the client does not take, instead of waiting; whether that is new.
    pub fn keep(&mut self) -> bool {
        let is_new = self.kept.is_none();
        self.kept.get_or_insert_default();
        is_new
    }

    /// Waits until the client has taken what was kept meanwhile, and waits for it from here on.
    ///
    /// # Errors
    /// The client has gone, or takes nothing for too long.
    pub fn wait(&mut self, fd: RawFd) -> io::Result<()> {
        while !self.flush(fd)? {
            wait::writable(fd, socket_limit())?;
        }
        self.keep_no_more();
        Ok(())
    }

    /// Waits for the client again; what was kept is lost.
    pub fn keep_no_more(&mut self) {
        self.kept = None;
    }

    /// Whether the client is taking what was kept: something moved since the last question.
    pub fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Bytes that the client did not take yet.
    pub fn kept(&self) -> u64 {
        let size = |part: &Part| match part {
            Part::Bytes { bytes, at } => (bytes.len() - at) as u64,
            Part::File(file) => file.left,
        };
        self.kept.iter().flatten().map(size).sum()
    }

    /// Sends all parts.
    ///
    /// # Errors
    /// The client has gone, or takes nothing for too long.
    pub fn send(&mut self, fd: RawFd, parts: &mut [iovec]) -> io::Result<()> {
        self.send_with(fd, parts, 0)
    }

    /// The same for what something follows at once, a file or the end of the connection: both leave in one packet.
    ///
    /// # Errors
    /// The client has gone, or takes nothing for too long.
    pub fn send_ahead(&mut self, fd: RawFd, parts: &mut [iovec]) -> io::Result<()> {
        self.send_with(fd, parts, libc::MSG_MORE)
    }

    fn send_with(&mut self, fd: RawFd, parts: &mut [iovec], flags: i32) -> io::Result<()> {
        let Some(kept) = &mut self.kept else {
            return send_all(fd, parts, flags);
        };
        let mut at = 0;
        if kept.is_empty() {
            self.moved = true;
            while at < parts.len() && write_some(fd, parts, &mut at, flags)? {}
        }
        for part in parts[at..].iter().filter(|part| part.iov_len > 0) {
            // SAFETY: the caller's parts describe memory that lives during the call.
            let new = unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) };
            match kept.back_mut() {
                Some(Part::Bytes { bytes, .. }) if bytes.len() < JOINED => bytes.extend_from_slice(new),
                _ => kept.push_back(Part::Bytes {
                    bytes: new.to_vec(),
                    at: 0,
                }),
            }
        }
        Ok(())
    }

    /// What is left of a file that ended the answer, for somebody else to send.
    pub fn take_rest(&mut self) -> Option<FilePart> {
        self.rest.take()
    }

    /// Sends so many bytes of a file. `is_last`: nothing follows, and what the client does not take at once may be sent
    /// by somebody else, see [`Self::take_rest`].
    ///
    /// # Errors
    /// The client has gone, or the file is shorter than that.
    pub fn send_file(&mut self, fd: RawFd, file: File, offset: i64, left: u64, is_last: bool) -> io::Result<()> {
        let mut part = FilePart { file, offset, left };
        match &mut self.kept {
            None if is_last => {
                self.rest = (!part.send(fd)?).then_some(part);
                Ok(())
            }
            None => {
                while !part.send(fd)? {
                    wait::writable(fd, socket_limit())?;
                }
                Ok(())
            }
            Some(kept) => {
                self.moved |= kept.is_empty();
                kept.push_back(Part::File(part));
                self.flush(fd).map(drop)
            }
        }
    }

    /// Sends what was kept, as far as the client takes it; whether all has left.
    ///
    /// # Errors
    /// The client has gone.
    pub fn flush(&mut self, fd: RawFd) -> io::Result<bool> {
        let Some(kept) = &mut self.kept else {
            return Ok(true);
        };
        while let Some(first) = kept.front_mut() {
            match first {
                Part::Bytes { bytes, at } => {
                    let before = *at;
                    let mut rest = [super::place(&bytes[*at..])];
                    let mut done = 0;
                    let more = write_some(fd, &mut rest, &mut done, 0)?;
                    *at = if done == 1 {
                        bytes.len()
                    } else {
                        bytes.len() - rest[0].iov_len
                    };
                    self.moved |= *at > before;
                    if *at < bytes.len() {
                        if more {
                            continue;
                        }
                        return Ok(false);
                    }
                }
                Part::File(file) => {
                    let before = file.left;
                    let done = file.send(fd)?;
                    self.moved |= file.left < before;
                    if !done {
                        return Ok(false);
                    }
                }
            }
            kept.pop_front();
        }
        Ok(true)
    }
}

impl FilePart {
    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Sends what the client takes now; whether that was all.
    ///
    /// # Errors
    /// The client has gone, or the file is shorter than it was.
    pub fn send(&mut self, fd: RawFd) -> io::Result<bool> {
        while self.left > 0 {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(1 << 30);
            // SAFETY: both descriptors are open; the offset is ours.
            match unsafe { libc::sendfile(fd, self.file.as_raw_fd(), &mut self.offset, most) } {
                // the file has shrunk: what was announced cannot be kept
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n if n > 0 => self.left -= n as u64,
                _ => match io::Error::last_os_error() {
                    e if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    e if e.kind() == io::ErrorKind::Interrupted => {}
                    e => return Err(e),
                },
            }
        }
        Ok(true)
    }
}

/// One write of what is left from `at` on, which moves with it; `false`: the client takes no more now. `flags` hold for a
/// single part.
fn write_some(fd: RawFd, parts: &mut [iovec], at: &mut usize, flags: i32) -> io::Result<bool> {
    const MOST: usize = 1024; // IOV_MAX of Linux
    let count = (parts.len() - *at).min(MOST);
    // SAFETY: the entries describe memory that lives until this function returns.
    let n = unsafe {
        match parts[*at..] {
            // a socket's own call: the kernel goes a shorter way
            [part] => libc::send(fd, part.iov_base, part.iov_len, libc::MSG_NOSIGNAL | flags),
            _ => libc::writev(fd, parts.as_ptr().add(*at), count as i32),
        }
    };
    if n < 0 {
        return match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            e if e.kind() == io::ErrorKind::Interrupted => Ok(true),
            e => Err(e),
        };
    }
    let mut done = n as usize;
    while *at < parts.len() && done >= parts[*at].iov_len {
        done -= parts[*at].iov_len;
        *at += 1;
    }
    if done > 0 {
        // SAFETY: `done` bytes of this entry were taken, fewer than it has.
        parts[*at].iov_base = unsafe { parts[*at].iov_base.cast::<u8>().add(done) }.cast();
        parts[*at].iov_len -= done;
    }
    Ok(true)
}

/// Writes everything, waiting for the client as long as `--socket-timeout` lets it.
fn send_all(fd: RawFd, parts: &mut [iovec], flags: i32) -> io::Result<()> {
    let mut at = 0;
    while at < parts.len() {
        if !write_some(fd, parts, &mut at, flags)? {
            wait::writable(fd, socket_limit())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::place;
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_a_slow_client_does_not_take_comes_later_and_in_order() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        let mut file = std::env::temp_dir();
        file.push(format!("rsgi-outlet-{}", std::process::id()));
        let mut file = {
            let made = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&file);
            let _ = std::fs::remove_file(&file);
            made.expect("a file")
        };
        file.write_all(&[b'f'; 300_000]).expect("room");
        file.rewind().expect("a file");
        let mut outlet = Outlet::keeping();
        let fd = ours.as_raw_fd();
        outlet
            .send(fd, &mut [place(&[b'a'; 500_000]), place(b"b")])
            .expect("there");
        outlet.send_file(fd, file, 100_000, 200_000, false).expect("there");
        outlet.send(fd, &mut [place(b"c")]).expect("there");
        assert!(outlet.kept() > 200_000);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).expect("bytes");
            all
        });
        while !outlet.flush(fd).expect("there") {
            wait::writable(fd, std::time::Duration::from_secs(5)).expect("a reader");
        }
        assert_eq!(outlet.kept(), 0);
        drop(ours);
        let all = reader.join().expect("it ends");
        let wanted = [&[b'a'; 500_000][..], b"b", &[b'f'; 200_000], b"c"].concat();
        assert!(all == wanted, "{} bytes", all.len());
    }

    #[test]
    fn a_client_that_has_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(theirs);
        // SAFETY: no handler of ours is lost; a write to a closed socket must not end the test.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        let sent = Outlet::keeping().send(ours.as_raw_fd(), &mut [place(b"x")]);
        assert_eq!(sent.map_err(|e| e.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
