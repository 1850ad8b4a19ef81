//! How the bytes of an answer leave: parts in one call, files by the kernel, all of it in records for FastCGI.

use super::{Framing, ResponseError, complete_head, gone_if, write};
use crate::request::{Core, bytes_of, place};
use crate::server::server;
use crate::worker::{offload, plugin_protocol};
use libc::iovec;
use rsgi_protocol::{chunked, fastcgi};
use std::io;
use std::os::fd::RawFd;

/// `via` of an answer that came out of a file, in the request's log line.
const VIA_SENDFILE: u16 = 1;
/// Bytes of a file that are rather copied than sent by a call of their own.
const SMALL_FILE: u64 = 16 * 1024;

/// Copies the first bytes of the body behind the head.
pub(super) fn join(head: &mut Vec<u8>, body: &[iovec], mut left: u64) {
    for part in body {
        // SAFETY: the caller's parts describe memory that lives during the call.
        let bytes = unsafe { bytes_of(part) };
        let n = (bytes.len() as u64).min(left) as usize;
        head.extend_from_slice(&bytes[..n]);
        left -= n as u64;
    }
}

pub(super) fn push_bounded(parts: &mut Vec<iovec>, body: &[iovec], mut left: u64) {
    for part in body {
        let n = (part.iov_len as u64).min(left);
        if n > 0 {
            parts.push(iovec {
                iov_base: part.iov_base,
                iov_len: n as usize,
            });
            left -= n;
        }
    }
}

/// Sends a file from `position`, all of it for a length of 0; closes the descriptor.
///
/// # Errors
/// The client has gone, or the file cannot be sent.
pub fn send_file(core: &mut Core, fd: RawFd, position: u64, length: u64) -> Result<(), ResponseError> {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: the header gives the descriptor to us.
    let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let size = file.metadata().map_err(ResponseError::Gone)?.len();
    let left = match length {
        0 => size.saturating_sub(position),
        n => n.min(size.saturating_sub(position)),
    };
    send_part(core, file, position, left)
}

/// Reads so many bytes of a file, piece by piece.
fn read_part(
    file: &std::fs::File,
    mut at: u64,
    mut left: u64,
    mut send: impl FnMut(&[u8]) -> Result<(), ResponseError>,
) -> Result<(), ResponseError> {
    let mut bytes = vec![0; left.min(65_536) as usize];
    while left > 0 {
        let n = left.min(bytes.len() as u64);
        let piece = &mut bytes[..n as usize];
        std::os::unix::fs::FileExt::read_exact_at(file, piece, at).map_err(ResponseError::Gone)?;
        send(piece)?;
        at += n;
        left -= n;
    }
    Ok(())
}

/// Sends so many bytes of a file that has them. Few of them leave together with the head, in one segment.
///
/// # Errors
/// The client has gone, or the file has become shorter.
pub fn send_part(core: &mut Core, file: std::fs::File, position: u64, mut left: u64) -> Result<(), ResponseError> {
    if !core.transformations.is_empty() && !core.response.is_head {
        return read_part(&file, position, left, |bytes| write(core, &[place(bytes)], false));
    }
    if !core.response.is_sent() && left <= SMALL_FILE && !core.response.is_head {
        let mut bytes = vec![0; left as usize];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, position).map_err(ResponseError::Gone)?;
        write(core, &[place(&bytes)], true)?;
        core.raw().via = VIA_SENDFILE;
        return Ok(());
    }
    if !core.response.is_sent() {
        complete_head(core, Some(left))?;
        if core.response.replaced {
            return Ok(());
        }
        let head = std::mem::take(&mut core.response.head);
        let follows = match core.response.framing {
            Framing::Length(due) => due > 0 && left > 0,
            Framing::Close => left > 0,
            Framing::Undecided | Framing::Chunked | Framing::Empty => false,
        };
        let sent = match follows {
            true => deliver_ahead(core, &mut [place(&head)]),
            false => deliver(core, &mut [place(&head)]),
        };
        core.response.head = head;
        gone_if(core, sent)?;
    }
    core.raw().via = VIA_SENDFILE;
    core.routing.keep_nothing();
    match core.response.framing {
        Framing::Empty => return Ok(()),
        Framing::Length(due) => {
            left = left.min(due);
            core.response.framing = Framing::Length(due - left);
        }
        Framing::Chunked if left > 0 => {
            let mut out = [0u8; 18];
            let line = chunked::encode_head(left as usize, &mut out).to_vec();
            let sent = deliver(core, &mut [place(&line)]);
            gone_if(core, sent)?;
        }
        _ => {}
    }
    if left > 0 {
        core.raw().response_size += left as usize;
        let is_copied = core.response.is_of_plugin() && plugin_protocol::writes(core);
        if is_copied || server().settings.statics.disable_sendfile {
            read_part(&file, position, left, |bytes| {
                let sent = deliver(core, &mut [place(bytes)]);
                gone_if(core, sent)
            })?;
        } else {
            let sent = deliver_file(core, file, position as i64, left);
            gone_if(core, sent)?;
        }
    }
    if core.response.framing == Framing::Chunked && left > 0 {
        let sent = deliver(core, &mut [place(chunked::CHUNK_END)]);
        gone_if(core, sent)?;
    }
    Ok(())
}

/// Sends bytes on the way that the request's answers go.
pub(in crate::request) fn deliver(core: &mut Core, parts: &mut [iovec]) -> io::Result<()> {
    if core.response.is_of_plugin() && plugin_protocol::writes(core) {
        return plugin_protocol::write(core, parts);
    }
    let fd = core.conn().fd();
    match core.response.fastcgi {
        None => core.outlet.send(fd, parts),
        Some(id) => send_records(core, id, parts),
    }
}

/// As [`deliver`], for bytes with more right behind them: the kernel may send both in one packet.
pub(super) fn deliver_ahead(core: &mut Core, parts: &mut [iovec]) -> io::Result<()> {
    if core.response.fastcgi.is_some() || core.response.is_of_plugin() {
        return deliver(core, parts);
    }
    let fd = core.conn().fd();
    core.outlet.send_ahead(fd, parts)
}

/// As [`deliver`], in FastCGI records.
fn send_records(core: &mut Core, id: u16, parts: &[iovec]) -> io::Result<()> {
    let fd = core.conn().fd();
    let mut left: usize = parts.iter().map(|part| part.iov_len).sum();
    let mut headers = Vec::with_capacity(left / fastcgi::MAX_CONTENT + 1);
    while left > 0 {
        let n = left.min(fastcgi::MAX_CONTENT);
        headers.push(fastcgi::stdout_header(id, n as u16));
        left -= n;
    }
    let (mut records, mut room) = (Vec::with_capacity(parts.len() + 2 * headers.len()), 0);
    let mut headers = headers.iter();
    for part in parts {
        let mut rest = *part;
        while rest.iov_len > 0 {
            if room == 0 {
                records.extend(headers.next().map(|header| place(header)));
                room = fastcgi::MAX_CONTENT;
            }
            let n = rest.iov_len.min(room);
            records.push(iovec {
                iov_base: rest.iov_base,
                iov_len: n,
            });
            // SAFETY: `n` is within the part.
            rest.iov_base = unsafe { rest.iov_base.cast::<u8>().add(n) }.cast();
            rest.iov_len -= n;
            room -= n;
        }
    }
    core.outlet.send(fd, &mut records)
}

/// Sends a part of a file on that way.
fn deliver_file(core: &mut Core, file: std::fs::File, mut position: i64, mut left: u64) -> io::Result<()> {
    let fd = core.conn().fd();
    let Some(id) = core.response.fastcgi else {
        // bytes of a next request would be waited for in vain: only a core looks at them
        let is_last = offload::is_on()
            && core.response.framing == Framing::Length(0)
            && core.body.is_consumed()
            && core.conn().buffered().is_empty();
        return core.outlet.send_file(fd, file, position, left, is_last);
    };
    while left > 0 {
        let n = left.min(fastcgi::MAX_CONTENT as u64);
        let header = fastcgi::stdout_header(id, n as u16);
        core.outlet.send(fd, &mut [place(&header)])?;
        core.outlet.send_file(fd, file.try_clone()?, position, n, false)?;
        position += n as i64;
        left -= n;
    }
    Ok(())
}
