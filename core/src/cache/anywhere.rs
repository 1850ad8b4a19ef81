//! A cache by the name that applications give: one of ours, or `name@address` in another instance, which is asked over
//! the uwsgi protocol with modifier1 111. Nobody there, or no such cache, is "no".

use super::find;
use super::number::Change;
use super::store::{Cache, Mode, now};
use crate::net::exchange;
use crate::{say, server};
use rsgi_protocol::uwsgi::{Writer, parse_vars};
use std::io;

/// modifier1 of a packet about a cache.
pub const CACHE: u8 = 111;
/// modifier2: a command in variables, and the value behind them.
pub const COMMAND: u8 = 17;

/// Where a cache is.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// Here.
    Own(&'static Cache),
    /// Its name there, and where that is.
    Other(&'a [u8], &'a str),
    /// Nowhere.
    None,
}

/// The place of a name; an empty one is the first cache.
pub fn place(name: &[u8]) -> Place<'_> {
    if let Some(at) = name.iter().position(|b| *b == b'@') {
        let address = std::str::from_utf8(&name[at + 1..]);
        return address.map_or(Place::None, |address| Place::Other(&name[..at], address));
    }
    find(name).map_or(Place::None, Place::Own)
}

/// How long an item lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// For ever, or so many seconds.
    Seconds(u64),
    /// Until this moment, seconds since the epoch.
    Until(u64),
}

impl Lasts {
    fn ends(self) -> u64 {
        match self {
            Self::Seconds(0) => 0,
            Self::Seconds(n) => now().saturating_add(n),
            Self::Until(moment) => moment,
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Seconds(n) => n,
            Self::Until(moment) => moment.saturating_sub(now()).max(1),
        }
    }
}

/// What an item is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// A value, which replaces another one or not.
    Value(Mode),
    /// A change of a number; the value is what it is changed by.
    Number(Change),
}

impl Put {
    /// Its word on the wire.
    fn command(self) -> &'static str {
        match self {
            Self::Value(Mode::Add) => "set",
            Self::Value(Mode::Replace) => "update",
            Self::Number(Change::Add) => "inc",
            Self::Number(Change::Subtract) => "dec",
            Self::Number(Change::Multiply) => "mul",
            Self::Number(Change::Divide) => "div",
        }
    }

    /// That of a word on the wire.
    pub fn of_command(word: &[u8]) -> Option<Self> {
        let all = [
            Self::Value(Mode::Add),
            Self::Value(Mode::Replace),
            Self::Number(Change::Add),
            Self::Number(Change::Subtract),
            Self::Number(Change::Multiply),
            Self::Number(Change::Divide),
        ];
        all.into_iter().find(|put| put.command().as_bytes() == word)
    }
}

/// A value and the moment it ends, 0: never.
pub fn get(name: &[u8], key: &[u8]) -> Option<(Vec<u8>, u64)> {
    match place(name) {
        Place::Own(cache) => cache.value(key),
        Place::Other(cache, address) => {
            let answer = ask(address, cache, "get", key, &[], None)?;
            Some((answer.value, answer.ends))
        }
        Place::None => None,
    }
}

/// Whether a key is there.
pub fn contains(name: &[u8], key: &[u8]) -> bool {
    match place(name) {
        Place::Own(cache) => cache.contains(key),
        Place::Other(cache, address) => ask(address, cache, "exists", key, &[], None).is_some(),
        Place::None => false,
    }
}

/// Removes an item; whether it was there.
pub fn remove(name: &[u8], key: &[u8]) -> bool {
    match place(name) {
        Place::Own(cache) => cache.remove(key),
        Place::Other(cache, address) => ask(address, cache, "del", key, &[], None).is_some(),
        Place::None => false,
    }
}

/// Removes all items; whether there is such a cache.
pub fn clear(name: &[u8]) -> bool {
    match place(name) {
        Place::Own(cache) => {
            cache.clear();
            true
        }
        Place::Other(cache, address) => ask(address, cache, "clear", &[], &[], None).is_some(),
        Place::None => false,
    }
}

/// Puts an item in, or changes a number by one of eight bytes; whether that was done.
pub fn put(name: &[u8], key: &[u8], value: &[u8], lasts: Lasts, put: Put) -> bool {
    match (place(name), put) {
        (Place::Own(cache), Put::Value(mode)) => cache.put(key, value, lasts.ends(), mode).is_ok(),
        (Place::Own(cache), Put::Number(change)) => {
            let Ok(by) = value.try_into() else { return false };
            let seconds = lasts.seconds();
            cache
                .change_number(key, change, i64::from_le_bytes(by), seconds)
                .is_ok()
        }
        (Place::Other(cache, address), put) => ask(address, cache, put.command(), key, value, Some(lasts)).is_some(),
        (Place::None, _) => false,
    }
}

/// What another instance said to a command.
struct Answer {
    value: Vec<u8>,
    ends: u64,
}

fn ask(address: &str, cache: &[u8], command: &str, key: &[u8], value: &[u8], lasts: Option<Lasts>) -> Option<Answer> {
    let mut packet = Vec::new();
    let mut writer = Writer::new(&mut packet, CACHE, COMMAND);
    writer.push(b"cmd", command.as_bytes());
    if !key.is_empty() {
        writer.push(b"key", key);
    }
    if let Some(lasts) = lasts {
        writer.push(b"size", value.len().to_string().as_bytes());
        writer.push(b"expires", lasts.seconds().to_string().as_bytes());
    }
    if !cache.is_empty() {
        writer.push(b"cache", cache);
    }
    writer.finish().ok()?;
    let answered = exchange::ask(address, &[&packet, value], server::socket_limit()).and_then(|answer| {
        let Some(mut answer) = answer else { return Ok(None) };
        let size = usize::from(answer.header.size);
        let inside = answer.take(size)?;
        let number = |name: &[u8]| {
            let mut pairs = parse_vars(&inside).filter_map(Result::ok);
            let value = pairs.find(|(key, _)| *key == name)?.1;
            std::str::from_utf8(value).ok()?.parse::<u64>().ok()
        };
        if !parse_vars(&inside).any(|pair| pair == Ok((b"status", b"ok"))) {
            return Ok(None);
        }
        let len = usize::try_from(number(b"size").unwrap_or(0)).map_err(io::Error::other)?;
        Ok(Some(Answer {
            value: answer.take(len)?,
            ends: number(b"expires").unwrap_or(0),
        }))
    });
    answered.unwrap_or_else(|e| {
        say!("cache {}@{address}: {e}", String::from_utf8_lossy(cache));
        None
    })
}
