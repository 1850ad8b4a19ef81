//! What one process image leaves for the next over `exec`, as text in a memory file: sockets by the addresses they
//! were asked for, the processes of the old generation, the memory they share, and the binary to go back to.

use crate::shared::SharedMemory;
use std::io::{self, Read, Seek, Write};
use std::os::fd::RawFd;

/// A process of the old generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldProcess {
    /// Its pid.
    pub pid: i32,
    /// Its worker id; 0 for a gateway.
    pub worker: usize,
    /// Which of [`Handover::memories`] it writes; `None`: unknown, its deadlines cannot be watched.
    pub memory: Option<usize>,
}

/// The shared memory of an old generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMemory {
    /// The file behind it.
    pub fd: RawFd,
    /// What it was mapped for.
    pub workers: usize,
    /// Cores of each worker.
    pub cores: usize,
    /// How the records lie ([`SharedMemory::layout_stamp`]).
    pub stamp: String,
}

/// What the image before this one left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The version of rsgi that wrote this.
    pub version: String,
    /// How many reloads there were, the coming one included.
    pub reloads: u64,
    /// Address as asked, descriptor.
    pub sockets: Vec<(String, RawFd)>,
    /// Its processes.
    pub processes: Vec<OldProcess>,
    /// What they share.
    pub memories: Vec<OldMemory>,
    /// The executable of the image before, to go back to when this one cannot serve.
    pub binary: Option<RawFd>,
    /// The pids of its mules.
    pub mules: Vec<i32>,
    /// The pid of its emperor, and what tells its settings from others.
    pub emperor: Option<(i32, u64)>,
}

impl Handover {
    /// Every descriptor that must survive the exec.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let sockets = self.sockets.iter().map(|(_, fd)| *fd);
        let memories = self.memories.iter().map(|m| m.fd);
        sockets.chain(memories).chain(self.binary)
    }

    /// Writes the lines that [`Handover::read`] understands.
    ///
    /// # Errors
    /// No memory is left.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        writeln!(to, "version {}", self.version)?;
        writeln!(to, "reloads {}", self.reloads)?;
        for (name, fd) in &self.sockets {
            writeln!(to, "socket {fd} {name}")?;
        }
        for m in &self.memories {
            writeln!(to, "memory {} {} {} {}", m.fd, m.workers, m.cores, m.stamp)?;
        }
        for p in &self.processes {
            let memory = p.memory.map_or(-1, |at| at as i64);
            writeln!(to, "process {} {} {memory}", p.pid, p.worker)?;
        }
        if let Some(fd) = self.binary {
            writeln!(to, "binary {fd}")?;
        }
        for pid in &self.mules {
            writeln!(to, "mule {pid}")?;
        }
        if let Some((pid, settings)) = self.emperor {
            writeln!(to, "emperor {pid} {settings}")?;
        }
        Ok(())
    }

    /// Reads what the image before wrote; lines of a kind that this version does not know are passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(mut file: impl Read + Seek) -> io::Result<Self> {
        file.rewind()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut handover = Self::default();
        for line in text.lines() {
            handover.take_line(line);
        }
        Ok(handover)
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "version" => rest.clone_into(&mut self.version),
            "reloads" => self.reloads = rest.parse().ok()?,
            "emperor" => {
                let (pid, settings) = rest.split_once(' ')?;
                self.emperor = Some((pid.parse().ok()?, settings.parse().ok()?));
            }
            "mule" => self.mules.push(rest.parse().ok()?),
            "binary" => self.binary = Some(rest.parse().ok()?),
            "socket" => {
                let (fd, name) = rest.split_once(' ')?;
                self.sockets.push((name.to_owned(), fd.parse().ok()?));
            }
            "memory" => {
                let mut words = rest.splitn(4, ' ');
                self.memories.push(OldMemory {
                    fd: words.next()?.parse().ok()?,
                    workers: words.next()?.parse().ok()?,
                    cores: words.next()?.parse().ok()?,
                    stamp: words.next()?.to_owned(),
                });
            }
            "process" => {
                let mut words = rest.split(' ');
                self.processes.push(OldProcess {
                    pid: words.next()?.parse().ok()?,
                    worker: words.next()?.parse().ok()?,
                    memory: words.next().and_then(|n| n.parse().ok()),
                });
            }
            _ => {}
        }
        Some(())
    }

    /// Maps the memories, in their order; `None` where the records lie otherwise than ours.
    pub fn map_memories(&self) -> Vec<Option<&'static SharedMemory>> {
        let map = |m: &OldMemory| {
            (m.stamp == SharedMemory::layout_stamp())
                .then(|| SharedMemory::map_again(m.fd, m.workers, m.cores).ok())
                .flatten()
                // for as long as a process of that generation may live: a few, and an exec ends them all
                .map(|memory| &*Box::leak(Box::new(memory)))
        };
        self.memories.iter().map(map).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(handover: &Handover) -> io::Cursor<Vec<u8>> {
        let mut out = Vec::new();
        handover.write(&mut out).unwrap();
        io::Cursor::new(out)
    }

    #[test]
    fn what_an_unknown_version_adds_is_passed_over() {
        let text = "version 9\nreloads 3\nsocket 7 /tmp/a b.sock\ncolour blue\nprocess 42 1\nnoise\nsocket x y\n";
        let handover = Handover::read(io::Cursor::new(text)).unwrap();
        assert_eq!(handover.reloads, 3);
        assert_eq!(handover.sockets, [("/tmp/a b.sock".to_owned(), 7)]);
        let process = OldProcess {
            pid: 42,
            worker: 1,
            memory: None,
        };
        assert_eq!(handover.processes, [process]);
    }

    proptest! {
        #[test]
        fn a_handover_is_read_as_written(
            reloads in any::<u64>(),
            sockets in proptest::collection::vec(("[^\r\n]{1,20}", 0..9999), 0..5),
            processes in proptest::collection::vec((1..99999, 0usize..99, proptest::option::of(0usize..9)), 0..5),
            memories in proptest::collection::vec((3..99, 1usize..99, 1usize..9, "[a-z0-9.-]{1,9}"), 0..3),
            mules in proptest::collection::vec(1..99999, 0..4),
            binary in proptest::option::of(0..99),
            emperor in proptest::option::of((1..99999, any::<u64>())),
        ) {
            let handover = Handover {
                version: "0.1.0".into(),
                reloads,
                sockets,
                processes: processes.into_iter().map(|(pid, worker, memory)| OldProcess { pid, worker, memory }).collect(),
                memories: memories
                    .into_iter()
                    .map(|(fd, workers, cores, stamp)| OldMemory { fd, workers, cores, stamp })
                    .collect(),
                mules,
                binary,
                emperor,
            };
            prop_assert_eq!(Handover::read(written(&handover)).unwrap(), handover);
        }
    }
}
