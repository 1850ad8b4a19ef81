//! `--logger rsyslog:[tcp://|tls://]HOST:PORT[,NAME[,CAFILE]]`: each line is a message of RFC 5424, as a datagram or counted in a
//! stream (RFC 6587), the latter also within TLS (RFC 5425).

mod tls;

use rsgi_plugin_api::logger::{Connection, Datagrams, Logger, LoggerError, register, rfc3339};
use rsgi_plugin_api::{HookError, Plugin, export_plugin};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tls::Tls;

/// Facility "daemon", severity "info".
const PRIORITY: u8 = 3 << 3 | 6;
/// Bytes that go into one datagram; receivers cut longer ones.
const DATAGRAM: usize = 60_000;

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
    fn message(&self, line: &[u8], now: Duration) -> Vec<u8> {
        let mut out = format!("<{PRIORITY}>1 ").into_bytes();
        rfc3339(&mut out, now.as_secs() as i64, now.subsec_micros());
        out.extend_from_slice(format!(" {} {} {} - - ", self.host, self.name, std::process::id()).as_bytes());
        out.extend_from_slice(line);
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
        let message = self.message(message.strip_suffix(b"\n").unwrap_or(message), now);
        // its length in front: a line end in it does not end it
        let counted = || [format!("{} ", message.len()).as_bytes(), message.as_slice()].concat();
        match &mut self.way {
            Way::Tcp(connection) => connection.with(|stream, _| stream.write_all(&counted()))?,
            Way::Tls(tls) => tls.write(&counted())?,
            Way::Udp(datagrams) => datagrams.send(&message[..message.len().min(DATAGRAM)])?,
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

export_plugin! { rsyslog_plugin: Rsyslog, name: c"rsyslog", modifier1: 0, hooks: [on_load] }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_rfc_5424() {
        let mut syslog = Syslog::open("127.0.0.1,my app").unwrap();
        syslog.host = "host".into();
        let text = syslog.message(b"hello", Duration::from_micros(1_700_000_000_000_042));
        let pid = std::process::id();
        let expected = format!("<30>1 2023-11-14T22:13:20.000042Z host myapp {pid} - - hello");
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(matches!(syslog.way, Way::Udp(datagrams) if datagrams.address() == "127.0.0.1:514"));
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
