//! What an alarm does when it is raised: the kinds of the server, and those that plugins register.

use crate::plugin::inside::Brought;
use crate::signal::route;
use crate::startup::hooks;
use crate::{mule, say};
use rsgi_plugin_api::abi::{UwsgiAlarm, UwsgiAlarmInit, UwsgiAlarmInstance, UwsgiAlarmRun};
use std::ffi::CString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

/// What is done with the message.
pub enum Action {
    /// Standard input of a command, with a newline.
    Command(String),
    /// A uWSGI signal is raised.
    Signal(u8),
    /// A message to a mule; 0: to any.
    Mule(usize),
    /// A line of the log.
    Log,
    /// A plugin has it.
    Plugin(Instance),
}

/// An alarm of a plugin's kind.
pub struct Instance {
    record: *mut UwsgiAlarmInstance,
    run: Brought<UwsgiAlarmRun>,
}

// SAFETY: the record is the plugin's; only the master calls it, in its one thread.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// A kind that a plugin offers; the record lives as long as the process.
struct Kind {
    record: &'static UwsgiAlarm,
    init: Brought<UwsgiAlarmInit>,
    run: Brought<UwsgiAlarmRun>,
}

// SAFETY: a record that is never written after it was made.
unsafe impl Send for Kind {}

static OF_PLUGINS: Mutex<Vec<(Vec<u8>, Kind)>> = Mutex::new(Vec::new());

/// A plugin offers a kind of alarm.
pub fn register(name: &[u8], init: UwsgiAlarmInit, run: UwsgiAlarmRun) {
    let text = CString::new(name).unwrap_or_default().into_raw();
    let record = Box::leak(Box::new(UwsgiAlarm {
        name: text,
        init: Some(init),
        func: Some(run),
        next: std::ptr::null_mut(),
    }));
    let mut kinds = OF_PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
    let kind = Kind {
        record,
        init: Brought::new("alarm", name, init),
        run: Brought::new("alarm", name, run),
    };
    kinds.push((name.to_vec(), kind));
}

impl Action {
    /// Reads `KIND:ARGUMENT`, and lets a plugin prepare its own.
    ///
    /// # Errors
    /// The kind is not known, or the argument is wrong.
    pub fn parse(alarm: &str, text: &str) -> Result<Self, String> {
        let (kind, argument) = text.split_once(':').unwrap_or((text, ""));
        let number = |most: u64| -> Result<u64, String> {
            let number = argument.trim().parse().ok().filter(|n| *n <= most);
            number.ok_or_else(|| format!("{kind}: \"{argument}\" is no number from 0 to {most}"))
        };
        Ok(match kind {
            "cmd" if argument.trim().is_empty() => return Err("cmd: a command is missing".into()),
            "cmd" => Self::Command(argument.to_owned()),
            "signal" => Self::Signal(number(255)? as u8),
            "mule" => {
                let count = mule::mules().map_or(0, |m| m.count());
                if count == 0 {
                    return Err("mule: there are no mules here (--mules N)".into());
                }
                Self::Mule(number(count as u64)? as usize)
            }
            "log" => Self::Log,
            _ => {
                let kinds = OF_PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((_, of)) = kinds.iter().rev().find(|(name, _)| name == kind.as_bytes()) else {
                    let others = kinds.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
                    let mut known: Vec<String> = ["cmd", "signal", "mule", "log"].map(str::to_owned).into();
                    known.extend(others);
                    return Err(format!("there is no kind \"{kind}\" (kinds: {})", known.join(", ")));
                };
                let (init, run) = (of.init, of.run);
                let of: *const UwsgiAlarm = of.record;
                drop(kinds);
                let text = |t: &str| CString::new(t).unwrap_or_default().into_raw();
                // SAFETY: numbers and pointers only; all-zero is valid.
                let mut record: UwsgiAlarmInstance = unsafe { std::mem::zeroed() };
                record.name = text(alarm);
                record.arg = text(argument);
                record.alarm = of.cast_mut();
                let record = Box::into_raw(Box::new(record));
                // SAFETY: the plugin's function, in the master before the first fork; the record is its own from now on.
                init.call(|init| unsafe { init(record) });
                Self::Plugin(Instance { record, run })
            }
        })
    }

    /// Carries it out; by the master.
    ///
    /// # Errors
    /// It could not be done; one line.
    pub fn run(&self, message: &[u8]) -> Result<(), String> {
        match self {
            Self::Command(command) => {
                // it may outlive us: an alarm is worth most when things end
                let mut child = hooks::child(hooks::shell_path())
                    .args(["-c", command])
                    .process_group(0)
                    .stdin(Stdio::piped())
                    .spawn()
                    .map_err(|e| format!("cannot run \"{command}\": {e}"))?;
                // a message fits into an empty pipe, so nobody waits; the master reaps the child with all others
                if let Some(mut input) = child.stdin.take() {
                    let _ = input.write_all(message).and_then(|()| input.write_all(b"\n"));
                }
                Ok(())
            }
            Self::Signal(signal) => route::raise(*signal).map_err(|e| e.to_string()),
            Self::Mule(id) => {
                let mules = mule::mules().ok_or("there are no mules")?;
                let queue = mules.queue_of(*id).ok_or("there is no such mule")?;
                queue.send(message).map_err(|e| e.to_string())
            }
            Self::Log => {
                say!("ALARM: {}", String::from_utf8_lossy(message));
                Ok(())
            }
            Self::Plugin(Instance { record, run }) => {
                let mut copy = message.to_vec();
                // SAFETY: record and function are the plugin's; the message is a copy of ours that outlives the call.
                run.call(|run| unsafe { run(*record, copy.as_mut_ptr().cast(), copy.len()) });
                Ok(())
            }
        }
    }
}
