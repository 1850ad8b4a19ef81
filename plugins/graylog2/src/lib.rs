//! `--logger graylog2:[tcp://]HOST:PORT[,FACILITY]`: each line is a GELF 1.1 message, packed and in chunks over UDP, or ended by
//! a NUL over TCP.

use flate2::Compression;
use flate2::write::GzEncoder;
use rsgi_plugin_api::logger::{Connection, Datagrams, Logger, LoggerError, register};
use rsgi_plugin_api::{HookError, Plugin, export_plugin};
use serde_json::json;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a datagram that no router cuts.
const DATAGRAM: usize = 1420;
/// What stands in front of a chunk.
const CHUNK_HEAD: usize = 12;
/// More chunks a message must not have.
const MOST_CHUNKS: usize = 128;

enum Way {
    Udp(Datagrams),
    Tcp(Connection),
}

struct Gelf {
    way: Way,
    host: String,
    facility: String,
    sent: u64,
}

impl Gelf {
    fn message(&self, line: &[u8], seconds: f64) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        json!({
            "version": "1.1",
            "host": self.host,
            // an empty one is refused
            "short_message": if text.trim().is_empty() { "-" } else { text.as_ref() },
            "timestamp": seconds,
            "level": 6,
            "_facility": self.facility,
        })
        .to_string()
        .into_bytes()
    }
}

/// The datagrams of a message; none: it is too long.
fn datagrams(packed: &[u8], id: u64) -> Vec<Vec<u8>> {
    if packed.len() <= DATAGRAM {
        return vec![packed.to_vec()];
    }
    let chunks = packed.chunks(DATAGRAM - CHUNK_HEAD);
    let count = chunks.len();
    if count > MOST_CHUNKS {
        return Vec::new();
    }
    let chunk = |(number, part): (usize, &[u8])| {
        let mut out = vec![0x1e, 0x0f];
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&[number as u8, count as u8]);
        out.extend_from_slice(part);
        out
    };
    chunks.enumerate().map(chunk).collect()
}

impl Logger for Gelf {
    fn open(argument: &str) -> Result<Self, String> {
        let (place, facility) = argument.split_once(',').unwrap_or((argument, "rsgi"));
        let way = match place.strip_prefix("tcp://") {
            Some(address) => Way::Tcp(Connection::new(address)?),
            None => Way::Udp(Datagrams::new(place.strip_prefix("udp://").unwrap_or(place))?),
        };
        let host = nix::unistd::gethostname()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            way,
            host: if host.is_empty() { "localhost".into() } else { host },
            facility: facility.to_owned(),
            sent: 0,
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = self.message(
            message.strip_suffix(b"\n").unwrap_or(message),
            now.as_micros() as f64 / 1e6,
        );
        self.sent += 1;
        match &mut self.way {
            Way::Tcp(connection) => {
                text.push(0);
                connection.with(|stream, _| stream.write_all(&text))?;
            }
            Way::Udp(server) => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(&text)?;
                let id = (now.as_nanos() as u64).rotate_left(20) ^ self.sent ^ u64::from(std::process::id()) << 48;
                let all = datagrams(&packer.finish()?, id);
                if all.is_empty() {
                    return Err(LoggerError::Refused("a line is too long for GELF over UDP".into()));
                }
                for datagram in all {
                    server.send(&datagram)?;
                }
            }
        }
        Ok(())
    }
}

struct Graylog;

impl Plugin for Graylog {
    fn on_load() -> Result<(), HookError> {
        for name in [c"graylog2", c"graylog", c"gelf"] {
            register::<Gelf>(name);
        }
        Ok(())
    }
}

export_plugin! { graylog2_plugin: Graylog, name: c"graylog2", modifier1: 0, hooks: [on_load] }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_gelf() {
        let gelf = Gelf::open("127.0.0.1:12201,shop").unwrap();
        let text = gelf.message(b"a\"b\xff\n", 1.5);
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (
                &read["short_message"],
                &read["timestamp"],
                &read["_facility"],
                &read["version"]
            ),
            (&json!("a\"b\u{fffd}\n"), &json!(1.5), &json!("shop"), &json!("1.1"))
        );
        assert!(Gelf::open("tcp://nowhere").is_err());
    }

    #[test]
    fn long_messages_come_in_chunks() {
        assert_eq!(datagrams(b"short", 7), [b"short"]);
        let long: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        let chunks = datagrams(&long, 0x0102_0304_0506_0708);
        assert_eq!(chunks.len(), 4);
        assert_eq!(&chunks[1][..12], [0x1e, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 1, 4]);
        assert_eq!(chunks.iter().flat_map(|c| c[12..].to_vec()).collect::<Vec<u8>>(), long);
        assert!(datagrams(&vec![0; 200_000], 1).is_empty());
    }
}
