//! `syslog[:NAME[,FACILITY]]`: lines go to the system's log through `/dev/log`. Written by hand and not by the C library's
//! function, whose lock a fork in the middle of a call would hand to the child.

use super::super::strftime;
use rsgi_plugin_api::logger::{Logger, LoggerError};
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/dev/log";
/// Of severity "info"; the facility is added.
const INFO: u32 = 6;
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "12", "13",
    "14", "15", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The logger.
pub struct Syslog {
    name: String,
    priority: u32,
    socket: Option<UnixDatagram>,
}

/// The number of a facility by its name.
fn facility(name: &str) -> Result<u32, String> {
    let place = FACILITIES.iter().position(|known| *known == name);
    place.map(|n| n as u32).ok_or_else(|| {
        let named = FACILITIES.iter().filter(|n| n.parse::<u8>().is_err());
        let known: Vec<&str> = named.copied().collect();
        format!("there is no facility \"{name}\" (facilities: {})", known.join(", "))
    })
}

impl Logger for Syslog {
    fn open(argument: &str) -> Result<Self, String> {
        let (name, place) = argument.split_once(',').unwrap_or((argument, "daemon"));
        Ok(Self {
            name: if name.is_empty() { "rsgi" } else { name }.to_owned(),
            priority: facility(place)? << 3 | INFO,
            socket: None,
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let line = message.strip_suffix(b"\n").unwrap_or(message);
        if line.is_empty() {
            return Ok(());
        }
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            let connected = socket.connect(SOCKET).and_then(|()| socket.set_nonblocking(true));
            connected.map_err(|e| LoggerError::Refused(format!("{SOCKET}: {e}")))?;
            self.socket = Some(socket);
        }
        let date = strftime(c"%b %e %H:%M:%S", crate::exports::now());
        let head = format!("<{}>{date} {}[{}]: ", self.priority, self.name, std::process::id());
        let packet = [head.as_bytes(), line].concat();
        match self.socket.as_ref().map(|socket| socket.send(&packet)) {
            Some(Err(e)) if e.kind() == std::io::ErrorKind::WouldBlock => Err(e.into()),
            Some(Err(e)) => {
                // the daemon has a new socket when it was started anew
                self.socket = None;
                Err(LoggerError::Refused(e.to_string()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_are_known_by_name() {
        assert_eq!(Syslog::open("app,local6").unwrap().priority, 22 * 8 + 6);
        let plain = Syslog::open("").unwrap();
        assert_eq!((plain.name.as_str(), plain.priority), ("rsgi", 30));
        assert!(Syslog::open("app,wrong").err().unwrap().contains("\"wrong\""));
    }
}
