//! `--logger systemd[:NAME[,SOCKET]]`: each line is an entry of the journal, by its native protocol. NAME is the
//! SYSLOG_IDENTIFIER; SOCKET is that of another namespace.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use rsgi_plugin_api::logger::{Logger, LoggerError, register};
use rsgi_plugin_api::{HookError, Plugin, export_plugin};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/run/systemd/journal/socket";

struct Journal {
    name: String,
    path: String,
    socket: UnixDatagram,
}

/// A field; a value with line ends goes with its length.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

impl Journal {
    fn send(&self, entry: &[u8]) -> io::Result<()> {
        let address = UnixAddr::new(self.path.as_str())?;
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let sent = sendmsg(fd, &[io::IoSlice::new(entry)], &[], flags, Some(&address));
        if sent != Err(Errno::EMSGSIZE) {
            return Ok(sent.map(drop)?);
        }
        let mut file = File::from(memfd_create(
            c"journal",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )?);
        file.write_all(entry)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let descriptors = [file.as_raw_fd()];
        Ok(sendmsg(
            fd,
            &[],
            &[ControlMessage::ScmRights(&descriptors)],
            flags,
            Some(&address),
        )
        .map(drop)?)
    }
}

impl Logger for Journal {
    fn open(argument: &str) -> Result<Self, String> {
        let (name, path) = argument.split_once(',').unwrap_or((argument, SOCKET));
        Ok(Self {
            name: if name.is_empty() { "rsgi" } else { name }.to_owned(),
            path: path.to_owned(),
            socket: UnixDatagram::unbound().map_err(|e| e.to_string())?,
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let line = message.strip_suffix(b"\n").unwrap_or(message);
        let mut entry = Vec::with_capacity(line.len() + 64);
        field(&mut entry, "MESSAGE", line);
        field(&mut entry, "PRIORITY", b"6");
        field(&mut entry, "SYSLOG_IDENTIFIER", self.name.as_bytes());
        self.send(&entry)
            .map_err(|e| LoggerError::Again(format!("{}: {e}", self.path)))
    }
}

struct Systemd;

impl Plugin for Systemd {
    fn on_load() -> Result<(), HookError> {
        register::<Journal>(c"systemd");
        Ok(())
    }
}

export_plugin! { systemd_logger_plugin: Systemd, name: c"systemd_logger", modifier1: 0, hooks: [on_load] }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_text_or_have_their_length() {
        let mut out = Vec::new();
        field(&mut out, "A", b"x=y");
        field(&mut out, "B", b"1\n2");
        assert_eq!(out, b"A=x=y\nB\n\x03\0\0\0\0\0\0\x001\n2\n");
    }

    #[test]
    fn a_long_line_goes_as_a_file() {
        let folder = std::env::temp_dir().join(format!("rsgi-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&folder);
        let receiver = UnixDatagram::bind(&folder).unwrap();
        let mut journal = Journal::open(&format!("app,{}", folder.display())).unwrap();
        journal.write(b"short\n").unwrap();
        let mut text = [0u8; 256];
        let n = receiver.recv(&mut text).unwrap();
        assert_eq!(&text[..n], b"MESSAGE=short\nPRIORITY=6\nSYSLOG_IDENTIFIER=app\n");
        journal.write(&vec![b'x'; 2 << 20]).unwrap();
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
        let got = nix::sys::socket::recvmsg::<()>(receiver.as_raw_fd(), &mut [], Some(&mut space), MsgFlags::empty());
        assert_eq!(got.unwrap().cmsgs().unwrap().count(), 1);
        let _ = std::fs::remove_file(&folder);
    }
}
