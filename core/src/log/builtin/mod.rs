//! The loggers that need no plugin, because a server must be able to log before any is found: a file, a descriptor,
//! standard output, datagrams, a program, syslog. A plugin that offers the same name comes first.

mod file;
mod pipe;
mod socket;
mod syslog;

use super::sink::LoggerFn;
use super::standard;
use rsgi_plugin_api::logger::{Logger, LoggerError, call};

pub use file::LogFile;
use pipe::Program;
use socket::Datagrams;
use syslog::Syslog;

/// A kind: its name, its function, how an argument is looked at before anything starts, and whether it takes many lines at
/// once.
struct Kind {
    name: &'static str,
    func: LoggerFn,
    check: fn(&str) -> Result<(), String>,
    takes_streams: bool,
}

const fn kind<L: Logger>(name: &'static str, takes_streams: bool) -> Kind {
    Kind {
        name,
        func: call::<L>,
        check: |argument| L::open(argument).map(drop),
        takes_streams,
    }
}

static KINDS: [Kind; 6] = [
    kind::<LogFile>("file", true),
    kind::<Descriptor>("fd", true),
    kind::<Stdio>("stdio", true),
    kind::<Datagrams>("socket", false),
    kind::<Program>("pipe", true),
    kind::<Syslog>("syslog", false),
];

fn of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// The function of a name.
pub fn find(name: &str) -> Option<LoggerFn> {
    of(name).map(|kind| kind.func)
}

/// Whether the function takes any number of lines in one call.
pub fn takes_streams(name: &str) -> bool {
    of(name).is_some_and(|kind| kind.takes_streams)
}

/// Whether an argument is one, before anything is started.
///
/// # Errors
/// One line.
pub fn check(name: &str, argument: &str) -> Result<(), String> {
    of(name).map_or(Ok(()), |kind| (kind.check)(argument))
}

/// `fd:NUMBER`
struct Descriptor(i32);

impl Logger for Descriptor {
    fn open(argument: &str) -> Result<Self, String> {
        match argument.parse() {
            Ok(fd @ 0..) => Ok(Self(fd)),
            _ => Err("no number of a descriptor: give fd:3".into()),
        }
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        // these two lead into the pipe that this line came from
        let fd = if matches!(self.0, 1 | 2) {
            standard::last()
        } else {
            self.0
        };
        standard::write_all(fd, message);
        Ok(())
    }
}

/// `stdio`
struct Stdio;

impl Logger for Stdio {
    fn open(_: &str) -> Result<Self, String> {
        Ok(Self)
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        standard::write_all(standard::last(), message);
        Ok(())
    }
}
