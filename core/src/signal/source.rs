//! What raises signals by itself: asked for by the application in the master or in a worker, kept by the master. A
//! worker's wish goes to the master as a record of fixed size; it ends with that worker.

use super::{SignalError, cron, may_register};
use crate::process::{Role, notify_master, role};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a record.
pub const RECORD: usize = HEAD + PATH;
const HEAD: usize = 64;
const PATH: usize = libc::PATH_MAX as usize;
/// How long a worker waits for a master that is behind.
const PATIENCE: Duration = Duration::from_secs(2);

/// A source of signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Again and again.
    Timer {
        /// Between two signals.
        period: Duration,
        /// How many signals; 0: for ever.
        iterations: u32,
    },
    /// Minute, hour, day, month, weekday.
    Cron([i32; 5]),
    /// At changes of a file, or in a folder.
    FileMonitor {
        /// What is watched.
        path: PathBuf,
        /// How many signals; 0: for ever.
        iterations: u32,
        /// Folders below count too.
        recursive: bool,
    },
}

/// A kind of source, to take them away by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names of `Source`
pub enum Kind {
    Timer = 0,
    Cron = 1,
    FileMonitor = 2,
}

/// What the master is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A source for a signal; `owner`: the pid of the worker that it ends with, 0 for none.
    Add {
        /// Raised.
        signal: u8,
        /// When.
        source: Source,
        /// Whose.
        owner: i32,
    },
    /// All sources of a kind for a signal.
    Remove {
        /// No longer raised.
        signal: u8,
        /// By these.
        kind: Kind,
    },
}

impl Order {
    fn to_record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let put =
            |record: &mut [u8; RECORD], at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        match self {
            Self::Remove { signal, kind } => put(&mut record, 0, &[1, *signal, *kind as u8]),
            Self::Add { signal, source, owner } => {
                put(&mut record, 0, &[2, *signal]);
                put(&mut record, 4, &owner.to_le_bytes());
                match source {
                    Source::Timer { period, iterations } => {
                        put(&mut record, 2, &[Kind::Timer as u8]);
                        put(&mut record, 8, &(period.as_nanos() as u64).to_le_bytes());
                        put(&mut record, 16, &iterations.to_le_bytes());
                    }
                    Source::Cron(fields) => {
                        put(&mut record, 2, &[Kind::Cron as u8]);
                        for (n, field) in fields.iter().enumerate() {
                            put(&mut record, 8 + 4 * n, &field.to_le_bytes());
                        }
                    }
                    Source::FileMonitor {
                        path,
                        iterations,
                        recursive,
                    } => {
                        let path = path.as_os_str().as_bytes();
                        put(&mut record, 2, &[Kind::FileMonitor as u8, u8::from(*recursive)]);
                        put(&mut record, 8, &(path.len() as u64).to_le_bytes());
                        put(&mut record, 16, &iterations.to_le_bytes());
                        put(&mut record, HEAD, path);
                    }
                }
            }
        }
        record
    }

    fn from_record(record: &[u8; RECORD]) -> Option<Self> {
        let int = |at: usize| record[at..].first_chunk::<4>().map(|b| i32::from_le_bytes(*b));
        let long = |at: usize| record[at..].first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
        let signal = record[1];
        let kind = match record[2] {
            0 => Kind::Timer,
            1 => Kind::Cron,
            2 => Kind::FileMonitor,
            _ => return None,
        };
        if record[0] == 1 {
            return Some(Self::Remove { signal, kind });
        }
        let source = match kind {
            Kind::Timer => Source::Timer {
                period: Duration::from_nanos(long(8)?),
                iterations: int(16)? as u32,
            },
            Kind::Cron => Source::Cron([int(8)?, int(12)?, int(16)?, int(20)?, int(24)?]),
            Kind::FileMonitor => Source::FileMonitor {
                path: PathBuf::from(std::ffi::OsStr::from_bytes(record.get(HEAD..HEAD + long(8)? as usize)?)),
                iterations: int(16)? as u32,
                recursive: record[3] != 0,
            },
        };
        (record[0] == 2).then_some(Self::Add {
            signal,
            source,
            owner: int(4)?,
        })
    }
}

/// What was asked for in the master itself.
static OWN: Mutex<Vec<Order>> = Mutex::new(Vec::new());

fn submit(order: Order) -> Result<(), SignalError> {
    let memory = may_register()?;
    match role() {
        Role::Master => OWN.lock().unwrap_or_else(PoisonError::into_inner).push(order),
        Role::Trial => {}
        _ => {
            let (record, began) = (order.to_record(), Instant::now());
            while memory.orders().push(&record).is_err() {
                if began.elapsed() > PATIENCE {
                    return Err(SignalError::Source(
                        "the master does not take orders at the moment".into(),
                    ));
                }
                notify_master();
                std::thread::sleep(Duration::from_millis(2));
            }
            notify_master();
        }
    }
    Ok(())
}

/// The orders that wait; in the master.
pub fn take() -> Vec<Order> {
    let mut all = std::mem::take(&mut *OWN.lock().unwrap_or_else(PoisonError::into_inner));
    let mut record = [0; RECORD];
    while super::memory().is_some_and(|m| m.orders().pop(&mut record)) {
        all.extend(Order::from_record(&record));
    }
    all
}

/// Adds a source.
///
/// # Errors
/// It can never raise anything (a period of zero, a date that does not exist, a path that is not there), or this
/// process may not add any.
pub fn add(signal: u8, source: Source) -> Result<(), SignalError> {
    match &source {
        Source::Timer { period, .. } if period.is_zero() => {
            return Err(SignalError::Source(
                "the period of a timer must be more than zero".into(),
            ));
        }
        Source::Timer { period, .. } if *period > Duration::from_secs(100 * 366 * 86_400) => {
            return Err(SignalError::Source(
                "the period of a timer is at most a hundred years".into(),
            ));
        }
        Source::Timer { .. } => {}
        Source::Cron(fields) => cron::check(*fields).map_err(SignalError::Source)?,
        Source::FileMonitor { path, .. } => check_path(path)?,
    }
    let owner = match role() {
        Role::Worker => std::process::id() as i32,
        _ => 0,
    };
    submit(Order::Add { signal, source, owner })
}

fn check_path(path: &Path) -> Result<(), SignalError> {
    let shown = path.display();
    if path.as_os_str().len() >= PATH {
        return Err(SignalError::Source(format!(
            "the path to watch is over {PATH} bytes long"
        )));
    }
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(e) => {
            let why = crate::config::system_message(&e);
            Err(SignalError::Source(format!("cannot watch {shown}: {why}")))
        }
    }
}

/// Takes all sources of a kind for a signal away.
///
/// # Errors
/// This process may not.
pub fn remove(signal: u8, kind: Kind) -> Result<(), SignalError> {
    submit(Order::Remove { signal, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn orders_survive_the_way_to_the_master() {
        let sources = [
            Source::Timer {
                period: Duration::from_micros(1_500_000),
                iterations: 3,
            },
            Source::Cron([-1, 5, -2, 12, 7]),
            Source::FileMonitor {
                path: "/tmp/ä b".into(),
                iterations: u32::MAX,
                recursive: true,
            },
        ];
        for source in sources {
            let order = Order::Add {
                signal: 255,
                source,
                owner: 77,
            };
            assert_eq!(Order::from_record(&order.to_record()), Some(order));
        }
        for kind in [Kind::Timer, Kind::Cron, Kind::FileMonitor] {
            let order = Order::Remove { signal: 9, kind };
            assert_eq!(Order::from_record(&order.to_record()), Some(order));
        }
    }

    proptest! {
        #[test]
        fn no_record_is_fatal(head in proptest::collection::vec(any::<u8>(), HEAD)) {
            let mut record = [0; RECORD];
            record[..HEAD].copy_from_slice(&head);
            let _ = Order::from_record(&record);
        }
    }
}
