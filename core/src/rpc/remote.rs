//! Calls of procedures in other instances, over the uwsgi protocol with modifier1 173.

use super::CallError;
use crate::net::exchange;
use rsgi_protocol::uwsgi::{array_packet, parse_vars};
use std::io;
use std::time::Duration;

/// modifier1 of a packet that calls a procedure, and of the answer.
pub const RPC: u8 = 173;
/// modifier2 of an answer that is too long for a packet: its length is a variable, it follows.
pub const LONG: u8 = 5;

/// Calls a procedure of another instance; `Ok(None)`: it has none of this name, or it answered nothing.
///
/// # Errors
/// The arguments are too long for a packet, or nobody answers in time.
pub fn call(address: &str, name: &[u8], arguments: &[&[u8]], limit: Duration) -> Result<Option<Vec<u8>>, CallError> {
    let strings: Vec<&[u8]> = std::iter::once(name).chain(arguments.iter().copied()).collect();
    let packet = array_packet(RPC, 0, &strings).ok_or(CallError::Arguments)?;
    ask(address, &packet, limit).map_err(|e| CallError::Remote(address.to_owned(), e))
}

fn ask(address: &str, packet: &[u8], limit: Duration) -> io::Result<Option<Vec<u8>>> {
    let Some(mut answer) = exchange::ask(address, &[packet], limit)? else {
        return Ok(None);
    };
    let size = usize::from(answer.header.size);
    let inside = answer.take(size)?;
    if answer.header.modifier2 != LONG {
        return Ok(Some(inside).filter(|text| !text.is_empty()));
    }
    let mut pairs = parse_vars(&inside).filter_map(Result::ok);
    let length = pairs.find(|(key, _)| *key == b"CONTENT_LENGTH");
    let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
    answer.take(length.ok_or(io::ErrorKind::InvalidData)?).map(Some)
}
