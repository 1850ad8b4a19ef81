//! Files whose touch means something (`--touch-reload` and its kin, `--fs-reload`): the system's events tell at once,
//! and a look once a second finds what they do not tell (network file systems, folders that come later).

use super::{Ending, Master, TOUCH};
use crate::settings::Settings;
use crate::{log, say, startup};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;

/// What a touch does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Reload,
    /// A rolling replacement of the workers, this image staying.
    Workers,
    /// The same, said as uWSGI says it.
    Chain,
    /// A replacement of the mules alone.
    Mules,
    /// The same of the spoolers.
    Spoolers,
    Stop,
    /// Stop, exec, start, at once.
    BrutalReload,
    RotateLog,
    ReopenLog,
    Exec(String),
    Hook(String),
    Signal(u8),
}

/// A file with the time of its last change; `None`: it is not there.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) file: String,
    seen: Option<(i64, i64)>,
}

impl Watched {
    /// As it is now.
    pub(super) fn new(file: String) -> Self {
        Self {
            seen: stamp(&file),
            file,
        }
    }

    /// Whether it has changed since the last look. One that vanished is waited for; its coming back counts.
    pub(super) fn has_changed(&mut self) -> bool {
        let before = self.seen;
        let now = stamp(&self.file);
        self.seen = now.or(before);
        now.is_some() && now != before
    }

    /// Whether it was there when it was last looked at, or before.
    fn was_there(&self) -> bool {
        self.seen.is_some()
    }
}

fn stamp(file: &str) -> Option<(i64, i64)> {
    std::fs::metadata(file).ok().map(|m| (m.mtime(), m.mtime_nsec()))
}

/// A watched file with what its touch does.
#[derive(Debug)]
pub(super) struct Touch {
    watched: Watched,
    meaning: Meaning,
    /// `--fs-reload`
    is_any_event: bool,
}

/// The files, and how the system tells of them.
pub(super) struct Touches {
    files: Vec<Touch>,
    events: Option<Inotify>,
    /// What `--fs-reload` names is watched itself: of a folder also what is written inside.
    direct: Vec<(WatchDescriptor, usize)>,
}

impl Touches {
    /// The files of the configuration, with the times they have now.
    pub(super) fn new(settings: &Settings, registry: &Registry) -> Self {
        let mut touches = Self {
            files: watched(settings),
            events: None,
            direct: Vec::new(),
        };
        if !touches.files.is_empty() {
            touches.watch(registry);
        }
        touches
    }

    /// Whatever fails here is found by the look once a second.
    fn watch(&mut self, registry: &Registry) {
        let Ok(events) = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) else {
            return;
        };
        // complete changes only: a reload must not read half a file
        let changed = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVED_TO;
        for (at, touch) in self.files.iter().enumerate() {
            let path = Path::new(&touch.watched.file);
            let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
            let _ = events.add_watch(folder.unwrap_or(Path::new(".")), changed);
            if touch.is_any_event
                && let Ok(watch) = events.add_watch(path, changed | AddWatchFlags::IN_DELETE)
            {
                self.direct.push((watch, at));
            }
        }
        let _ = registry.register(&mut SourceFd(&events.as_fd().as_raw_fd()), TOUCH, Interest::READABLE);
        self.events = Some(events);
    }

    fn is_watched(&self, name: &OsStr) -> bool {
        !self.direct.is_empty()
            || self
                .files
                .iter()
                .any(|t| Path::new(&t.watched.file).file_name() == Some(name))
    }

    /// Takes the system's events: whether there were any, and which files they are about themselves.
    fn heard(&self) -> Option<Vec<usize>> {
        let mut about = Vec::new();
        let mut any = false;
        while let Some(Ok(events)) = self.events.as_ref().map(Inotify::read_events) {
            for event in &events {
                // a folder may be a busy one
                any |= event.name.as_deref().is_none_or(|name| self.is_watched(name));
                about.extend(self.direct.iter().filter(|(w, _)| *w == event.wd).map(|(_, at)| *at));
            }
        }
        any.then_some(about)
    }
}

fn watched(settings: &Settings) -> Vec<Touch> {
    let reload = &settings.reload;
    let plain = [
        (&reload.touch_reload, Meaning::Reload),
        (&reload.touch_workers_reload, Meaning::Workers),
        (&reload.touch_mules_reload, Meaning::Mules),
        (&reload.touch_spoolers_reload, Meaning::Spoolers),
        (&reload.touch_chain_reload, Meaning::Chain),
        (&reload.touch_gracefully_stop, Meaning::Stop),
        (&reload.touch_logrotate, Meaning::RotateLog),
        (&reload.touch_logreopen, Meaning::ReopenLog),
    ];
    let any_event = [
        (&reload.fs_reload, Meaning::Reload),
        (&reload.fs_brutal_reload, Meaning::BrutalReload),
    ];
    let listed = |(files, meaning): (&'_ Vec<String>, Meaning)| -> Vec<(String, Meaning)> {
        files.iter().map(|f| (f.clone(), meaning.clone())).collect()
    };
    let files = plain.into_iter().flat_map(listed);
    let hooks = &settings.hooks;
    let execs = hooks
        .touch_exec
        .iter()
        .map(|t| (t.file.clone(), Meaning::Exec(t.action.clone())));
    let actions = hooks
        .touch
        .iter()
        .map(|t| (t.file.clone(), Meaning::Hook(t.action.clone())));
    let signals = hooks
        .touch_signal
        .iter()
        .map(|t| (t.file.clone(), Meaning::Signal(t.signal)));
    files
        .chain(signals)
        .chain(execs)
        .chain(actions)
        .map(|touch| (touch, false))
        .chain(any_event.into_iter().flat_map(listed).map(|touch| (touch, true)))
        .map(|((file, meaning), is_any_event)| {
            let watched = Watched::new(file);
            if !watched.was_there() {
                let file = &watched.file;
                say!("unable to stat() {file}, events will be triggered as soon as the file is created");
            }
            Touch {
                watched,
                meaning,
                is_any_event,
            }
        })
        .collect()
}

impl Master {
    /// Looks at the files if the system has told of any change.
    pub(super) fn hear_touches(&mut self) {
        if let Some(about) = self.touches.heard() {
            self.look_at_touches(&about);
        }
    }

    /// Looks at the files; once a second.
    pub(super) fn check_touches(&mut self) {
        self.look_at_touches(&[]);
    }

    /// Carries out what the touch of a file means; `about`: those that the system has named.
    fn look_at_touches(&mut self, about: &[usize]) {
        let mut touched = Vec::new();
        for (at, touch) in self.touches.files.iter_mut().enumerate() {
            let is_named = about.contains(&at) && Path::new(&touch.watched.file).exists();
            if touch.watched.has_changed() || is_named {
                touched.push((touch.watched.file.clone(), touch.meaning.clone()));
            }
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
                say!("*** {file} has been touched... workers reload !!! ***");
                if meaning == Meaning::Chain {
                    return self.chain_reload();
                }
                self.renew_workers();
            }
            Meaning::Mules => {
                say!("*** {file} has been touched... reloading the mules !!! ***");
                self.renew_mules();
            }
            Meaning::Spoolers => {
                say!("*** {file} has been touched... reloading the spoolers !!! ***");
                self.renew_spoolers();
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
            Meaning::Signal(signal) => self.raise_signal(signal),
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
            startup::notify::reloaded();
        }
    }
}
