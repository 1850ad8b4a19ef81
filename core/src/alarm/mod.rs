//! Alarms: named messages from any process to the master, which carries them out: a command, a uWSGI signal, a message
//! to a mule, a log line, or what a plugin offers (`alarm = NAME KIND:ARGUMENT`).

pub mod descriptor;
mod kind;

pub use kind::register;

use crate::settings::{AlarmLog, Logging};
use crate::{process, say};
use kind::Action;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use pcre2::bytes::Regex;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a message when `alarm-msg-size` says nothing (uWSGI: 8192).
pub const MESSAGE_SIZE: usize = 8192;
/// Seconds in which the same message of an alarm is not repeated (uWSGI: 3).
pub const FREQUENCY: u64 = 3;

/// A line that raises an alarm, or keeps one from being raised.
struct Match {
    pattern: Regex,
    /// The alarms, by their place in the list; none: the line is left alone.
    alarms: Vec<usize>,
}

struct Alarm {
    name: String,
    action: Action,
    /// The last message, and when it was carried out.
    last: Mutex<Option<(Instant, Vec<u8>)>>,
}

/// All alarms.
struct Alarms {
    list: Vec<Alarm>,
    matches: Vec<Match>,
    sender: OwnedFd,
    receiver: OwnedFd,
    message_size: usize,
    frequency: Duration,
    segfault: Vec<usize>,
    backlog: Vec<usize>,
}

static ALARMS: OnceLock<Alarms> = OnceLock::new();

fn place(list: &[Alarm], name: &str) -> Option<usize> {
    list.iter().position(|alarm| alarm.name == name)
}

/// The places of some alarms, separated by commas, which an option names.
fn places(list: &[Alarm], option: &str, names: &str) -> Result<Vec<usize>, String> {
    let known = || list.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ");
    let missing = |name| format!("{option}: there is no alarm \"{name}\" (alarms: {})", known());
    let names = names.split(',').map(str::trim);
    names
        .map(|name| place(list, name).ok_or_else(|| missing(name)))
        .collect()
}

fn parse(text: &str) -> Result<Alarm, String> {
    let (name, action) = text
        .trim()
        .split_once(char::is_whitespace)
        .ok_or("give NAME KIND:ARGUMENT")?;
    Ok(Alarm {
        name: name.to_owned(),
        action: Action::parse(name, action.trim())?,
        last: Mutex::new(None),
    })
}

fn parse_match(list: &[Alarm], rule: &AlarmLog) -> Result<Match, String> {
    let pattern = |text: &str| Regex::new(text.trim()).map_err(|e| e.to_string());
    match rule {
        AlarmLog::Raise(text) => {
            let (names, regexp) = text.trim().split_once(char::is_whitespace).ok_or("give NAME REGEXP")?;
            Ok(Match {
                alarms: places(list, "alarm-log", names)?,
                pattern: pattern(regexp)?,
            })
        }
        AlarmLog::Keep(text) => Ok(Match {
            alarms: Vec::new(),
            pattern: pattern(text)?,
        }),
    }
}

/// Makes the alarms that are configured; before the first fork, after plugins have said which kinds they bring.
///
/// # Errors
/// A kind or a name is not known, or an argument is wrong; one line.
pub fn install(settings: &Logging) -> Result<(), String> {
    let list = settings.alarms.iter();
    let list: Vec<Alarm> = list
        .map(|text| parse(text).map_err(|e| format!("alarm \"{text}\": {e}")))
        .collect::<Result<_, _>>()?;
    let all = |option: &str, names: &[String]| -> Result<Vec<usize>, String> {
        let each: Vec<Vec<usize>> = names
            .iter()
            .map(|n| places(&list, option, n))
            .collect::<Result<_, _>>()?;
        Ok(each.concat())
    };
    let rules = settings.alarm_log.iter();
    let matches = rules.map(|rule| parse_match(&list, rule).map_err(|e| format!("{rule}: {e}")));
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (receiver, sender) = socketpair(AddressFamily::Unix, SockType::Datagram, None, flags)
        .map_err(|e| format!("cannot make the socket of the alarms: {}", e.desc()))?;
    let _ = ALARMS.set(Alarms {
        matches: matches.collect::<Result<_, _>>()?,
        segfault: all("alarm-segfault", &settings.alarm_segfault)?,
        backlog: all("alarm-backlog", &settings.alarm_backlog)?,
        sender,
        receiver,
        message_size: settings.alarm_msg_size.map_or(MESSAGE_SIZE, |n| n as usize),
        frequency: Duration::from_secs(settings.alarm_freq.unwrap_or(FREQUENCY)),
        list,
    });
    Ok(())
}

/// Whether there is an alarm of this name.
pub fn is_known(name: &str) -> bool {
    ALARMS.get().is_some_and(|alarms| place(&alarms.list, name).is_some())
}

/// Raises an alarm from any process; longer messages are cut.
///
/// # Errors
/// There is no such alarm, or the master is so far behind that the message was not accepted; one line.
pub fn trigger(name: &str, message: &[u8]) -> Result<(), String> {
    let unknown = || format!("there is no alarm \"{name}\": configure one with alarm = {name} KIND:ARGUMENT");
    let alarms = ALARMS.get().ok_or_else(unknown)?;
    let place = place(&alarms.list, name).ok_or_else(unknown)?;
    alarms.send(place, message).map_err(|e| match e {
        Errno::EAGAIN | Errno::ENOBUFS => format!("alarm {name}: too many alarms wait; this one is lost"),
        e => format!("alarm {name}: {}", e.desc()),
    })
}

impl Alarms {
    fn send(&self, place: usize, message: &[u8]) -> nix::Result<()> {
        if process::role() == process::Role::Trial {
            return Ok(());
        }
        let message = &message[..message.len().min(self.message_size)];
        let mut packet = Vec::with_capacity(message.len() + 4);
        packet.extend_from_slice(&(place as u32).to_le_bytes());
        packet.extend_from_slice(message);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.sender.as_raw_fd(), &packet, flags).map(|_| ())
    }

    fn act(&self, place: usize, message: &[u8]) {
        let Some(alarm) = self.list.get(place) else { return };
        let mut last = alarm.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last
            .as_ref()
            .is_some_and(|(when, text)| text == message && when.elapsed() < self.frequency)
        {
            return;
        }
        *last = Some((Instant::now(), message.to_vec()));
        drop(last);
        if let Err(why) = alarm.action.run(message) {
            say!("alarm {}: {why}", alarm.name);
        }
    }
}

/// What the master watches; `None`: there are no alarms.
pub fn receiver() -> Option<RawFd> {
    let alarms = ALARMS.get().filter(|a| !a.list.is_empty())?;
    Some(alarms.receiver.as_raw_fd())
}

/// Carries out what waits; by the master.
pub fn carry_out() {
    let Some(alarms) = ALARMS.get() else { return };
    let mut packet = vec![0; alarms.message_size + 4];
    while let Ok(len) = recv(alarms.receiver.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT) {
        if let Some((place, message)) = packet[..len].split_first_chunk::<4>() {
            alarms.act(u32::from_le_bytes(*place) as usize, message);
        }
    }
}

/// Lines of the log come through: those that match raise their alarms. By the master.
pub fn see_lines(lines: &[u8]) {
    let Some(alarms) = ALARMS.get().filter(|a| !a.matches.is_empty()) else {
        return;
    };
    for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        for rule in &alarms.matches {
            if !rule.pattern.is_match(line).unwrap_or(false) {
                continue;
            }
            if rule.alarms.is_empty() {
                break;
            }
            rule.alarms.iter().for_each(|place| alarms.act(*place, line));
        }
    }
}

/// A process crashed. By the master.
pub fn crashed(message: &str) {
    raise_all(|alarms| &alarms.segfault, message);
}

/// The queue of a socket is full. By the master.
pub fn backlog_full(message: &str) {
    raise_all(|alarms| &alarms.backlog, message);
}

fn raise_all(which: impl Fn(&Alarms) -> &Vec<usize>, message: &str) {
    if let Some(alarms) = ALARMS.get() {
        which(alarms)
            .iter()
            .for_each(|place| alarms.act(*place, message.as_bytes()));
    }
}
