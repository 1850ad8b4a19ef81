//! `--logger rsyslog:[tcp://|tls://]HOST:PORT[,NAME[,CAFILE]]`: each line is a message of RFC 5424, as a datagram or counted in a
//! stream (RFC 6587), the latter also within TLS (RFC 5425).
//!
//! `--rsyslog-packet-size` bounds datagrams, and `--rsyslog-split-messages` sends what is longer in several.

mod tls;

use rsgi_plugin_api::logger::{Connection, Datagrams, Logger, LoggerError, register, rfc3339};
use rsgi_plugin_api::{HookError, OptionRow, OptionTable, Plugin, export_plugin};
use std::ffi::OsStr;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tls::Tls;

/// Facility "daemon", severity "info".
const PRIORITY: u8 = 3 << 3 | 6;
/// What fits into a datagram with all its headers.
const LARGEST: usize = 65_507;
/// The smallest datagram that has room for a head of RFC 5424 and a word.
const SMALLEST: usize = 480;

/// Bytes that go into one datagram; receivers cut longer ones.
static DATAGRAM: AtomicUsize = AtomicUsize::new(60_000);
/// What is longer goes into several.
static SPLITS: AtomicBool = AtomicBool::new(false);

fn set_datagram(value: Option<&OsStr>) -> Result<(), HookError> {
    let text = value.unwrap_or_default().to_string_lossy();
    let size = text.parse().ok().filter(|size| (SMALLEST..=LARGEST).contains(size));
    let size = size.ok_or_else(|| {
        HookError::new(format!(
            "rsyslog-packet-size is {SMALLEST} to {LARGEST} bytes, not \"{text}\""
        ))
    })?;
    DATAGRAM.store(size, Ordering::Relaxed);
    Ok(())
}

fn split(_: Option<&OsStr>) -> Result<(), HookError> {
    SPLITS.store(true, Ordering::Relaxed);
    Ok(())
}

static OPTIONS: OptionTable<3> = OptionTable::new(&[
    OptionRow::value(
        c"rsyslog-packet-size",
        c"bytes of a datagram to a syslog server; what is longer is cut (60000)",
        set_datagram,
    ),
    OptionRow::flag(
        c"rsyslog-split-messages",
        c"send lines that are longer than a datagram in several, each with its head",
        split,
    ),
]);

/// The parts of a line that each fit into a datagram behind a head of so many bytes; never none.
fn parts(line: &[u8], head: usize, datagram: usize, splits: bool) -> impl Iterator<Item = &[u8]> {
    let room = datagram.saturating_sub(head).max(1);
    let most = if splits { usize::MAX } else { 1 };
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut at = room.min(line.len());
        // a character of several bytes stays whole
        while at < line.len() && at > 1 && line[at] & 0xc0 == 0x80 && room - at < 3 {
            at -= 1;
        }
        let (part, left) = line.split_at(at);
        rest = (!left.is_empty()).then_some(left);
        Some(part)
    })
    .take(most)
}

enum Way {
    Udp(Datagrams),
    Tcp(Connection),
    Tls(Box<Tls>),
}

struct Syslog {
    way: Way,
    host: String,
    name: String,
}

/// A name as a header of RFC 5424 has it: visible ASCII, not too long.
fn header(text: &str, longest: usize) -> String {
    let fine: String = text.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if fine.is_empty() { "-".into() } else { fine }
}

impl Syslog {
    /// What stands before each line.
    fn head(&self, now: Duration) -> Vec<u8> {
        let mut out = format!("<{PRIORITY}>1 ").into_bytes();
        rfc3339(&mut out, now.as_secs() as i64, now.subsec_micros());
        out.extend_from_slice(format!(" {} {} {} - - ", self.host, self.name, std::process::id()).as_bytes());
        out
    }
}

impl Logger for Syslog {
    fn open(argument: &str) -> Result<Self, String> {
        let mut parts = argument.splitn(3, ',');
        let place = parts.next().unwrap_or_default();
        let name = parts.next().filter(|n| !n.is_empty()).unwrap_or("rsgi");
        let ca_file = parts.next().filter(|f| !f.is_empty());
        let way = match place.split_once("://") {
            Some(("tcp", address)) => Way::Tcp(Connection::new(address)?),
            Some(("tls", address)) => Way::Tls(Box::new(Tls::new(Connection::new(address)?, ca_file)?)),
            None | Some(("udp", _)) => {
                let address = place.strip_prefix("udp://").unwrap_or(place);
                let address = if address.contains(':') {
                    address.to_owned()
                } else {
                    format!("{address}:514")
                };
                Way::Udp(Datagrams::new(&address)?)
            }
            Some((other, _)) => return Err(format!("\"{other}://\" is none of udp://, tcp://, tls://")),
        };
        if ca_file.is_some() && !matches!(way, Way::Tls(_)) {
            return Err("a file of certificates is for tls:// alone".into());
        }
        let host = nix::unistd::gethostname().unwrap_or_default();
        Ok(Self {
            way,
            host: header(&host.to_string_lossy(), 255),
            name: header(name, 48),
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = message.strip_suffix(b"\n").unwrap_or(message);
        let head = self.head(now);
        // its length in front: a line end in it does not end it
        let counted = || {
            let count = format!("{} ", head.len() + line.len());
            [count.as_bytes(), &head, line].concat()
        };
        match &mut self.way {
            Way::Tcp(connection) => connection.with(|stream, _| stream.write_all(&counted()))?,
            Way::Tls(tls) => tls.write(&counted())?,
            Way::Udp(datagrams) => {
                let (size, splits) = (DATAGRAM.load(Ordering::Relaxed), SPLITS.load(Ordering::Relaxed));
                for part in parts(line, head.len(), size, splits) {
                    datagrams.send(&[&head, part].concat())?;
                }
            }
        }
        Ok(())
    }
}

struct Rsyslog;

impl Plugin for Rsyslog {
    fn on_load() -> Result<(), HookError> {
        register::<Syslog>(c"rsyslog");
        Ok(())
    }
}

export_plugin! { rsyslog_plugin: Rsyslog, name: c"rsyslog", modifier1: 0, options: OPTIONS, hooks: [on_load] }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_rfc_5424() {
        let mut syslog = Syslog::open("127.0.0.1,my app").unwrap();
        syslog.host = "host".into();
        let text = syslog.head(Duration::from_micros(1_700_000_000_000_042));
        let pid = std::process::id();
        let expected = format!("<30>1 2023-11-14T22:13:20.000042Z host myapp {pid} - - ");
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(matches!(syslog.way, Way::Udp(datagrams) if datagrams.address() == "127.0.0.1:514"));
    }

    #[test]
    fn long_lines_are_cut_or_split_between_characters() {
        let all = |line: &'static str, splits| -> Vec<&str> {
            let parts = parts(line.as_bytes(), 10, 14, splits);
            parts.map(|part| std::str::from_utf8(part).unwrap()).collect()
        };
        assert_eq!(all("abcdefghi", true), ["abcd", "efgh", "i"]);
        assert_eq!(all("abcdefghi", false), ["abcd"]);
        assert_eq!(all("", true), [""]);
        assert_eq!(all("abc\u{e4}\u{20ac}x", true), ["abc", "\u{e4}", "\u{20ac}x"]);
        // what is no text is split anywhere
        let bytes = [0x80; 9];
        assert_eq!(parts(&bytes, 10, 14, true).map(<[u8]>::len).sum::<usize>(), 9);
    }

    #[test]
    fn mistakes_are_said() {
        for (argument, said) in [
            ("ftp://a:1", "none of udp://"),
            ("tcp://a", "HOST:PORT"),
            ("tcp://a:1,x,/ca", "tls:// alone"),
            ("tls://a:1,x,/no/such/file", "/no/such/file"),
        ] {
            let error = Syslog::open(argument).err().unwrap();
            assert!(error.contains(said), "{argument}: {error}");
        }
    }
}
