//! Files whose touch means something (`--touch-reload` and its kin, `--fs-reload`): looked at once a second.

use super::{Ending, Master};
use crate::settings::Settings;
use crate::{log, say, startup};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;

/// What a touch does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Reload,
    /// A rolling replacement of the workers, this image staying.
    Workers,
    /// The same, said as uWSGI says it.
    Chain,
    Stop,
    /// Stop, exec, start, at once.
    BrutalReload,
    RotateLog,
    ReopenLog,
    Exec(String),
    Hook(String),
}

/// A watched file.
#[derive(Debug)]
pub(super) struct Touch {
    file: String,
    meaning: Meaning,
    seen: Option<(i64, i64)>,
}

/// Time of the last change; `None`: it is not there.
fn stamp(file: &str) -> Option<(i64, i64)> {
    std::fs::metadata(file).ok().map(|m| (m.mtime(), m.mtime_nsec()))
}

/// The files of the configuration, with the times they have now.
pub(super) fn watched(settings: &Settings) -> Vec<Touch> {
    let reload = &settings.reload;
    let plain = [
        (&reload.touch_reload, Meaning::Reload),
        (&reload.fs_reload, Meaning::Reload),
        (&reload.touch_workers_reload, Meaning::Workers),
        (&reload.touch_chain_reload, Meaning::Chain),
        (&reload.touch_gracefully_stop, Meaning::Stop),
        (&reload.fs_brutal_reload, Meaning::BrutalReload),
        (&reload.touch_logrotate, Meaning::RotateLog),
        (&reload.touch_logreopen, Meaning::ReopenLog),
    ];
    let files = plain
        .into_iter()
        .flat_map(|(files, meaning)| files.iter().map(move |f| (f.clone(), meaning.clone())));
    let hooks = &settings.hooks;
    let execs = hooks
        .touch_exec
        .iter()
        .map(|t| (t.file.clone(), Meaning::Exec(t.action.clone())));
    let actions = hooks
        .touch
        .iter()
        .map(|t| (t.file.clone(), Meaning::Hook(t.action.clone())));
    files
        .chain(execs)
        .chain(actions)
        .map(|(file, meaning)| {
            let seen = stamp(&file);
            if seen.is_none() {
                say!("unable to stat() {file}, events will be triggered as soon as the file is created");
            }
            Touch { file, meaning, seen }
        })
        .collect()
}

impl Master {
    /// Looks at the files and carries out what their touch means.
    pub(super) fn check_touches(&mut self) {
        let mut touched = Vec::new();
        for touch in &mut self.touches {
            let now = stamp(&touch.file);
            // a file that vanished is waited for; its coming back counts
            if now.is_some() && now != touch.seen {
                touched.push((touch.file.clone(), touch.meaning.clone()));
            }
            touch.seen = now.or(touch.seen);
        }
        for (file, meaning) in touched {
            self.touched(&file, meaning);
        }
        self.end_chain();
    }

    fn touched(&mut self, file: &str, meaning: Meaning) {
        match meaning {
            Meaning::Reload => {
                say!("*** {file} has been touched... grace them all !!! ***");
                self.on_hup();
            }
            Meaning::Workers | Meaning::Chain => {
                say!("*** {file} has been touched... reloading the workers !!! ***");
                if meaning == Meaning::Chain {
                    return self.chain_reload();
                }
                self.renew_workers();
            }
            Meaning::Stop => {
                say!("*** {file} has been touched... stopping gracefully !!! ***");
                self.stop(Ending::Graceful);
            }
            Meaning::BrutalReload => {
                say!("*** {file} has been touched... reloading at once !!! ***");
                self.classic_reload(Ending::Fast);
            }
            Meaning::RotateLog => log::rotate::rotate(&self.server.settings.logging),
            Meaning::ReopenLog => log::rotate::reopen(&self.server.settings.logging),
            Meaning::Exec(command) => {
                say!("[uwsgi-touch-exec] running {command}");
                self.run_aside(&command);
            }
            Meaning::Hook(action) => startup::hooks::run_or_say(&action),
        }
    }

    /// The same, and the end of it is said.
    pub(super) fn chain_reload(&mut self) {
        say!("chain reload starting...");
        self.chain = true;
        self.renew_workers();
    }

    /// Every worker is replaced, one after the other, each new one ready before its old one leaves.
    pub(super) fn renew_workers(&mut self) {
        crate::plugin::hooks::on_reload();
        for id in self.wanted_workers() {
            // SAFETY: a record in shared memory; the field is the master's.
            let pid = unsafe { (*self.server.shared.worker(id)).pid };
            self.server
                .shared
                .worker_slot(id)
                .wants_replacement
                .store(pid, Ordering::Release);
        }
        self.settle_generations();
    }

    fn end_chain(&mut self) {
        let waiting = self.wanted_workers().any(|id| {
            self.server
                .shared
                .worker_slot(id)
                .wants_replacement
                .load(Ordering::Acquire)
                != 0
        });
        if self.chain && !waiting && self.all_ready() {
            self.chain = false;
            say!("chain reloading complete");
        }
    }
}
