//! From the chunks of a pipe to whole lines: what follows the last newline is kept until the rest has come. One
//! [`Lines`] per pipe, in the process that reads it.

/// The longest line that is kept whole when `--log-master-bufsize` says nothing.
const LONGEST: usize = 256 * 1024;

/// What a pipe has brought and not finished.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    longest: usize,
    /// The unfinished line was seen by the last [`Lines::tick`] already.
    is_stale: bool,
}

impl Lines {
    /// For lines of at most `longest` bytes, without their newline; 0: as many as there are by default.
    pub fn new(longest: usize) -> Self {
        Self {
            partial: Vec::new(),
            longest: if longest == 0 { LONGEST } else { longest },
            is_stale: false,
        }
    }

    /// Takes a chunk and gives what is whole: one line or several, each with its newline. A line beyond the limit is
    /// given in pieces.
    pub fn take(&mut self, chunk: &[u8], give: &mut dyn FnMut(&[u8])) {
        self.is_stale = false;
        let Some(end) = chunk.iter().rposition(|b| *b == b'\n').map(|at| at + 1) else {
            self.partial.extend_from_slice(chunk);
            return self.shorten(give);
        };
        let (whole, rest) = chunk.split_at(end);
        if self.partial.is_empty() {
            self.give(whole, give);
        } else {
            self.partial.extend_from_slice(whole);
            let whole = std::mem::take(&mut self.partial);
            self.give(&whole, give);
        }
        self.partial.extend_from_slice(rest);
        self.shorten(give);
    }

    fn give(&self, whole: &[u8], give: &mut dyn FnMut(&[u8])) {
        if whole.len() <= self.longest + 1 {
            return give(whole);
        }
        for line in whole.split_inclusive(|b| *b == b'\n') {
            if line.len() <= self.longest + 1 {
                give(line);
                continue;
            }
            for piece in line[..line.len() - 1].chunks(self.longest) {
                give(&[piece, b"\n"].concat());
            }
        }
    }

    /// No unfinished line grows without limit.
    fn shorten(&mut self, give: &mut dyn FnMut(&[u8])) {
        while self.partial.len() > self.longest {
            let mut piece: Vec<u8> = self.partial.drain(..self.longest).collect();
            piece.push(b'\n');
            give(&piece);
        }
    }

    /// About once a second: text that has waited for its newline since the last time is given as it is, such as the dots of
    /// a progress bar.
    pub fn tick(&mut self, give: &mut dyn FnMut(&[u8])) {
        if self.is_stale {
            self.finish(give);
        }
        self.is_stale = !self.partial.is_empty();
    }

    /// The pipe has ended: so has its last line.
    pub fn finish(&mut self, give: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() {
            give(&std::mem::take(&mut self.partial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut given = Vec::new();
        for chunk in chunks {
            lines.take(chunk, &mut |text| given.push(text.to_vec()));
        }
        given
    }

    #[test]
    fn an_unfinished_line_waits_and_is_given_when_it_has_waited_long() {
        let mut lines = Lines::new(0);
        assert_eq!(all(&mut lines, &[b"a\nb", b"c", b"\nd\n"]), [&b"a\n"[..], b"bc\nd\n"]);
        let mut given = Vec::new();
        lines.take(b"...", &mut |_| panic!("no newline came"));
        lines.tick(&mut |_| panic!("it may come yet"));
        lines.tick(&mut |text| given.extend_from_slice(text));
        assert_eq!(given, b"...");
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let mut lines = Lines::new(3);
        let pieces: [&[u8]; 4] = [b"abc\n", b"abc\n", b"d\n", b"x\n"];
        assert_eq!(all(&mut lines, &[b"abcabc", b"d\nx\n"]), pieces);
        assert_eq!(all(&mut Lines::new(3), &[b"abcabcd\nx\n"]), pieces);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_every_line_is_whole(
            text in proptest::collection::vec("[a-z]{0,9}", 0..20),
            cuts in proptest::collection::vec(1usize..7, 1..9),
        ) {
            let whole: String = text.iter().map(|line| format!("{line}\n")).collect();
            let (mut lines, mut rest, mut given) = (Lines::new(0), whole.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                lines.take(now, &mut |text| {
                    assert_eq!(text.last(), Some(&b'\n'));
                    given.extend_from_slice(text);
                });
                rest = later;
            }
            prop_assert_eq!(given, whole.into_bytes());
        }
    }
}
