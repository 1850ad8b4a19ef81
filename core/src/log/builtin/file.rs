//! `file:PATH`, or `file:logfile=PATH,maxsize=10000000,every=day,keep=7,compress=1`: whole messages at the end of a file, which
//! is moved aside when it is large or old enough. Somebody else may move it, too: the name counts.

use super::super::rotate;
use crate::options::parse;
use flate2::Compression;
use flate2::write::GzEncoder;
use rsgi_plugin_api::logger::{Logger, LoggerError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The logger.
#[derive(Debug, Default)]
pub struct LogFile {
    path: PathBuf,
    /// Bytes after which it is moved aside.
    most: Option<u64>,
    /// Seconds, of local time, at whose multiples it is moved aside.
    period: Option<i64>,
    /// The one name of what was moved aside.
    backup: Option<PathBuf>,
    /// `PATH.1` to `PATH.keep`, the youngest first.
    keep: Option<u32>,
    compress: bool,
    file: Option<File>,
    size: u64,
    /// The period in which the last line was written.
    current: i64,
    /// Something did not work and was said.
    trouble: Option<String>,
}

fn period(text: &str) -> Result<i64, String> {
    Ok(match text {
        "hour" => 3600,
        "day" => 86400,
        "week" => 7 * 86400,
        seconds => parse::number(seconds, 1, 10 * 365 * 86400)? as i64,
    })
}

impl LogFile {
    fn parse(argument: &str) -> Result<Self, String> {
        let mut new = Self::default();
        if !argument.starts_with("logfile=") {
            new.path = argument.into();
        } else {
            for part in argument.split(',') {
                let (key, value) = part.split_once('=').unwrap_or((part, "1"));
                let wrong = |e| format!("{key}: {e}");
                match key {
                    "logfile" => new.path = value.into(),
                    "maxsize" => {
                        new.most = Some(parse::number(value, 0, i64::MAX as u64).map_err(wrong)?).filter(|n| *n > 0)
                    }
                    "every" => new.period = Some(period(value).map_err(wrong)?),
                    "backupname" => new.backup = Some(value.into()),
                    "keep" => new.keep = Some(parse::number(value, 1, 10_000).map_err(wrong)? as u32),
                    "compress" => new.compress = parse::boolean(value).ok_or_else(|| wrong(format!("\"{value}\"")))?,
                    other => {
                        return Err(format!(
                            "unknown key \"{other}\": known are logfile, maxsize, every, backupname, keep, compress"
                        ));
                    }
                }
            }
        }
        if new.backup.is_some() && new.keep.is_some() {
            return Err("backupname is the name of one file, keep makes several: give one of them".into());
        }
        match new.path.as_os_str().is_empty() {
            true => Err("no path: give file:/var/log/app.log".into()),
            false => Ok(new),
        }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if let Some(file) = &self.file
            && !rotate::is_in_place(file.as_raw_fd(), &self.path)
        {
            self.file = None;
        }
        if self.file.is_none() {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o640)
                .open(&self.path)?;
            let about = file.metadata()?;
            self.size = about.len();
            // the lines of a file that was there may be of a period before
            let written = about
                .modified()
                .ok()
                .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
            let now = crate::exports::now();
            let written = written.filter(|_| self.size > 0).map_or(now, |t| t.as_secs() as i64);
            self.current = self.period_of(written);
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn period_of(&self, seconds: i64) -> i64 {
        // SAFETY: the place is ours.
        let offset = unsafe {
            let mut tm: libc::tm = std::mem::zeroed();
            libc::localtime_r(&seconds, &mut tm);
            tm.tm_gmtoff
        };
        self.period.map_or(0, |period| (seconds + offset).div_euclid(period))
    }

    fn is_due(&self, more: usize) -> bool {
        let is_large = self
            .most
            .is_some_and(|most| self.size > 0 && self.size + more as u64 > most);
        is_large || (self.size > 0 && self.period_of(crate::exports::now()) != self.current)
    }

    /// The name of the n-th backup.
    fn numbered(&self, n: u32) -> PathBuf {
        PathBuf::from(format!("{}.{n}", self.path.display()))
    }

    fn rotate(&mut self) -> io::Result<()> {
        let backup = match (&self.backup, self.keep) {
            (Some(name), _) => name.clone(),
            (None, Some(keep)) => {
                for n in (1..=keep).rev() {
                    for suffix in ["", ".gz"] {
                        let from = with_suffix(&self.numbered(n), suffix);
                        let moved = match n {
                            n if n == keep => fs::remove_file(&from),
                            n => fs::rename(&from, with_suffix(&self.numbered(n + 1), suffix)),
                        };
                        moved.or_else(|e| {
                            if e.kind() == io::ErrorKind::NotFound {
                                Ok(())
                            } else {
                                Err(e)
                            }
                        })?;
                    }
                }
                self.numbered(1)
            }
            (None, None) => unused(&PathBuf::from(format!(
                "{}.{}",
                self.path.display(),
                crate::exports::now()
            ))),
        };
        fs::rename(&self.path, &backup)?;
        self.file = None;
        if self.compress {
            compress(&backup)?;
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Two rotations in one second take two names.
fn unused(path: &Path) -> PathBuf {
    let is_free = |p: &PathBuf| !p.exists() && !with_suffix(p, ".gz").exists();
    let others = (1..1000).map(|n| with_suffix(path, &format!(".{n}")));
    std::iter::once(path.to_path_buf())
        .chain(others)
        .find(is_free)
        .unwrap_or_else(|| path.to_path_buf())
}

/// Packs a file into one whose name ends in `.gz`; a reader never sees half of it.
fn compress(path: &Path) -> io::Result<()> {
    let half = with_suffix(path, ".gz.part");
    let to = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o640)
        .open(&half)?;
    let mut packer = GzEncoder::new(io::BufWriter::new(to), Compression::default());
    io::copy(&mut File::open(path)?, &mut packer)?;
    packer.finish()?.flush()?;
    fs::rename(&half, with_suffix(path, ".gz"))?;
    fs::remove_file(path)
}

impl Logger for LogFile {
    fn open(argument: &str) -> Result<Self, String> {
        Self::parse(argument)
    }

    fn write(&mut self, mut message: &[u8]) -> Result<(), LoggerError> {
        while !message.is_empty() {
            let written = self.write_part(message);
            let refused = |e: io::Error| LoggerError::Refused(format!("{}: {e}", self.path.display()));
            message = &message[written.map_err(refused)?..];
        }
        Ok(())
    }
}

impl LogFile {
    /// Writes the lines that this file has room for, at least one; how many bytes that is.
    fn write_part(&mut self, message: &[u8]) -> io::Result<usize> {
        self.file()?;
        let first = message
            .iter()
            .position(|b| *b == b'\n')
            .map_or(message.len(), |at| at + 1);
        if self.is_due(first)
            && let Err(e) = self.rotate()
        {
            // better a file that is too large than none
            let text = format!("logger file:{}: cannot move it aside: {e}\n", self.path.display());
            if self.trouble.as_ref() != Some(&text) {
                super::standard::original(text.as_bytes());
                self.trouble = Some(text);
            }
        }
        self.file()?;
        let room = self.most.map_or(u64::MAX, |most| most.saturating_sub(self.size));
        let fitting = &message[..usize::try_from(room).unwrap_or(usize::MAX).min(message.len())];
        let whole = match fitting.len() == message.len() {
            true => message.len(),
            false => fitting.iter().rposition(|b| *b == b'\n').map_or(first, |at| at + 1),
        };
        if let Some(file) = &mut self.file {
            file.write_all(&message[..whole])?;
        }
        self.size += whole as u64;
        self.current = self.period_of(crate::exports::now());
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn arguments_are_a_path_or_pairs() {
        assert_eq!(LogFile::parse("/a=b,c").unwrap().path, Path::new("/a=b,c"));
        let read = LogFile::parse("logfile=/l,maxsize=1000,every=day,keep=3,compress=1").unwrap();
        assert_eq!(
            (read.most, read.period, read.keep, read.compress),
            (Some(1000), Some(86400), Some(3), true)
        );
        for (text, said) in [
            ("", "no path"),
            ("logfile=/l,colour=red", "\"colour\""),
            ("logfile=/l,every=fortnight", "every: "),
            ("logfile=/l,keep=2,backupname=/b", "give one of them"),
        ] {
            assert!(LogFile::parse(text).unwrap_err().contains(said), "{text}");
        }
    }

    #[test]
    fn backups_are_numbered_packed_and_no_more_than_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l");
        let argument = format!("logfile={},maxsize=10,keep=2,compress=1", path.display());
        let mut file = LogFile::parse(&argument).unwrap();
        for n in 0..3 {
            file.write(format!("line {n}\n").as_bytes()).unwrap();
        }
        file.write(b"line 3\nline 4\n").unwrap();
        assert_eq!(read(&path), "line 4\n");
        let mut texts = Vec::new();
        for n in 1..=3 {
            let name = format!("{}.{n}.gz", path.display());
            let mut text = String::new();
            if let Ok(packed) = File::open(name) {
                flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
            }
            texts.push(text);
        }
        assert_eq!(texts, ["line 3\n", "line 2\n", ""]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_moved_file_is_left_and_an_old_one_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l");
        let argument = format!(
            "logfile={},every=3600,backupname={}.old",
            path.display(),
            path.display()
        );
        let mut file = LogFile::parse(&argument).unwrap();
        file.write(b"one\n").unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(
            (read(&path), read(&folder.path().join("moved"))),
            ("two\n".into(), "one\n".into())
        );
        file.current -= 1;
        file.write(b"three\n").unwrap();
        assert_eq!(
            (read(&path), read(&folder.path().join("l.old"))),
            ("three\n".into(), "two\n".into())
        );
    }
}
