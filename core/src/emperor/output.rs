//! What a vassal prints: handed on line by line to the emperor's own log; the last line is remembered, since it mostly
//! says why the vassal ended.

use crate::log::sink;
use std::io::{PipeReader, Read};
use std::os::fd::{AsRawFd, RawFd};

/// A line longer than this is handed on in pieces.
const LONGEST: usize = 64 * 1024;

/// The reading end of a vassal's output.
pub struct Output {
    reader: PipeReader,
    partial: Vec<u8>,
    last: Vec<u8>,
    /// More waits than was taken in one turn.
    pub has_more: bool,
}

impl Output {
    /// Around a pipe that does not block.
    pub fn new(reader: PipeReader) -> Self {
        Self {
            reader,
            partial: Vec::new(),
            last: Vec::new(),
            has_more: false,
        }
    }

    /// Hands on what has come, a bounded part of it; whether the last writer has gone.
    pub fn hand_on(&mut self) -> bool {
        let mut bytes = [0u8; 16 * 1024];
        self.has_more = false;
        for _ in 0..64 {
            match self.reader.read(&mut bytes) {
                Ok(0) => {
                    self.flush();
                    return true;
                }
                Ok(n) => self.take(&bytes[..n], sink::write),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        // the others get their turn first; the system does not tell again of what it has told
        self.has_more = true;
        false
    }

    fn take(&mut self, bytes: &[u8], write: impl FnOnce(&[u8])) {
        self.partial.extend_from_slice(bytes);
        let end = match self.partial.iter().rposition(|b| *b == b'\n') {
            Some(at) => at + 1,
            None if self.partial.len() >= LONGEST => self.partial.len(),
            None => return,
        };
        let whole: Vec<u8> = self.partial.drain(..end).collect();
        let mut lines = whole.split(|b| *b == b'\n').rev();
        if let Some(line) = lines.find(|line| !line.trim_ascii().is_empty()) {
            self.last = line.to_vec();
        }
        write(&whole);
    }

    fn flush(&mut self) {
        if !self.partial.is_empty() {
            self.take(b"\n", sink::write);
        }
    }

    /// The last line that says anything.
    pub fn last_line(&self) -> String {
        String::from_utf8_lossy(self.last.trim_ascii()).into_owned()
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_handed_on_and_the_last_one_is_kept() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader);
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for piece in ["one\ntw", "o\nthree\n \n", "rest"] {
            output.take(piece.as_bytes(), |bytes| seen.push(bytes.to_vec()));
        }
        assert_eq!(seen, [b"one\n".to_vec(), b"two\nthree\n \n".to_vec()]);
        assert_eq!(output.last_line(), "three");
        output.take(&[b'x'; LONGEST], |bytes| seen.push(bytes.to_vec()));
        assert!(output.partial.is_empty() && seen.len() == 3);
    }
}
