//! The emperor: one instance of the server (vassal) for each configuration file of a folder or pattern, started,
//! reloaded and stopped as the files come, change and go. It runs alone in the first process, or as a child of a
//! master beside its workers; single-threaded, one mio loop.

mod demand;
mod ending;
pub mod link;
pub mod message;
pub mod monitor;
mod output;
mod reign;
mod scan;
pub mod spawn;
mod stats;
mod throttle;
mod vassal;
mod watch;

use crate::settings::Settings;
use crate::startup::{self, StartupError, hooks, procname};
use crate::{process, say, unix_signal};
use link::{EmperorLink, News};
use message::Order;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use output::Output;
use scan::Source;
use stats::StatsEndpoint;
use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use vassal::Vassal;
use watch::Watch;

const SIGNALS: Token = Token(0);
const FOLDERS: Token = Token(1);
const LINK: Token = Token(2);
const STATS: Token = Token(3);
/// Tokens of the descriptors of plugins' sources begin here.
const MONITORS: usize = 4;
/// Tokens of vassals begin here, a few for each.
const VASSALS: usize = 16;
const PER_VASSAL: usize = 4;
/// A change of a folder is looked at so long after its last event: files are mostly written in several steps.
const SETTLE: Duration = Duration::from_millis(100);

/// How the emperor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The vassals finish what is in flight.
    Graceful,
    /// They end at once.
    Fast,
}

/// An emperor at work.
pub(crate) struct Reign<'s> {
    settings: &'s Settings,
    poll: Poll,
    signals: SignalFd,
    watch: Watch,
    sources: Vec<Source>,
    vassals: Vec<Vassal>,
    next_serial: usize,
    /// Output that outlives its vassal: somebody else still writes.
    leftovers: Vec<Output>,
    next_scan: Instant,
    cycle: Instant,
    link: Option<EmperorLink>,
    stats: Option<StatsEndpoint>,
    ending: Option<Ending>,
    /// This process does nothing else, and no master stands above it.
    alone: bool,
    /// Troubles that were said and have not changed since.
    said: HashSet<String>,
}

/// Whether the configuration asks for an emperor and for nothing that needs a master beside it.
pub fn is_alone(settings: &Settings) -> bool {
    let needs_master = |key: &str| key == "master" || crate::options::table::find(key).is_some_and(|r| r.needs_master);
    !settings.emperor.sources.is_empty() && !settings.exported.iter().any(|(key, _)| needs_master(key))
}

/// What must hold before an emperor starts.
///
/// # Errors
/// A setting that cannot work.
pub fn check(settings: &Settings) -> Result<(), StartupError> {
    if settings.emperor.list_monitors {
        let brought: String = monitor::schemes().iter().map(|name| format!("{name}\n")).collect();
        say!("\n*** rsgi loaded imperial monitors ***\ndir\nglob\n{brought}--- end of imperial monitors list ---\n");
    }
    let stays_root = nix::unistd::getuid().is_root() && settings.privileges.uid.is_none();
    if settings.emperor.sources.is_empty() || !settings.emperor.tyrant || stays_root {
        return Ok(());
    }
    Err(StartupError::new(
        "emperor-tyrant: only root can start vassals as other users; start the emperor as root, without uid, or leave it out",
    ))
}

/// The emperor as the only thing that this process does.
///
/// # Errors
/// What the system refused at the start.
pub fn run_alone(settings: &Settings) -> Result<i32, StartupError> {
    process::set_role(process::Role::Emperor);
    crate::plugin::inside::end::serves();
    crate::log::sink::deliver_here(settings.logging.log_master);
    let code = run(settings, true)?;
    hooks::run(&settings.hooks.as_user_atexit);
    if settings.paths.vacuum {
        startup::daemonize::remove_pidfiles(settings);
    }
    Ok(code)
}

/// The emperor, to its end; `alone` when no master stands above it.
///
/// # Errors
/// What the system refused at the start.
pub fn run(settings: &Settings, alone: bool) -> Result<i32, StartupError> {
    unix_signal::block_master();
    let emperor = &settings.emperor;
    procname::emperor(&settings.processes.names, emperor.process_name.as_deref());
    let rank = if link::is_vassal() { "sub-Emperor" } else { "Emperor" };
    say!("*** starting rsgi {rank} ***");
    let poll = Poll::new()?;
    let signals = SignalFd::with_flags(
        &unix_signal::master_set(),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?;
    let register = |fd: i32, token| poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
    register(signals.as_raw_fd(), SIGNALS)?;
    let watch = Watch::new()?;
    register(watch.as_raw_fd(), FOLDERS)?;
    let link = alone.then(|| EmperorLink::open(emperor.heartbeat)).flatten();
    if let Some(link) = &link {
        register(link.as_raw_fd(), LINK)?;
    }
    let stats = match &emperor.stats_address {
        Some(address) => {
            let endpoint = StatsEndpoint::bind(settings, address)?;
            endpoint.watch(poll.registry(), STATS)?;
            Some(endpoint)
        }
        None => None,
    };
    if let Some(path) = &emperor.pidfile {
        let text = format!("{}\n", std::process::id());
        std::fs::write(path, text)
            .map_err(|e| StartupError::new(format!("emperor-pidfile: cannot write {path}: {e}")))?;
    }
    let mut reign = Reign {
        settings,
        poll,
        signals,
        watch,
        sources: Vec::new(),
        vassals: Vec::new(),
        next_serial: 0,
        leftovers: Vec::new(),
        next_scan: Instant::now(),
        cycle: Instant::now(),
        link,
        stats,
        ending: None,
        alone,
        said: HashSet::new(),
    };
    let code = reign.run();
    if let Some(endpoint) = &reign.stats {
        endpoint.close();
    }
    if let Some(path) = &emperor.pidfile {
        let _ = std::fs::remove_file(path);
    }
    monitor::clean();
    say!("The Emperor is buried.");
    Ok(code)
}

impl Reign<'_> {
    fn run(&mut self) -> i32 {
        if let Some(link) = &mut self.link {
            link.report(message::Report::Ready);
        }
        self.scan();
        if let Some(link) = &mut self.link {
            link.accepting();
        }
        if self.alone {
            startup::notify::ready();
        }
        let mut events = Events::with_capacity(256);
        loop {
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            // interrupted or not: whatever there is to do is looked at below
            let _ = self.poll.poll(&mut events, Some(wait));
            for event in &events {
                self.on_event(event.token());
            }
            self.hear_the_talkative();
            self.read_signals();
            self.reap();
            self.start_due();
            self.end_overdue();
            let now = Instant::now();
            if self.next_scan <= now && self.ending.is_none() {
                self.scan();
            }
            if self.cycle <= now {
                self.cycle = now + Duration::from_secs(1);
                self.once_a_second();
            }
            if self.ending.is_some() && self.vassals.iter().all(|v| v.process.is_none()) {
                return 0;
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        if self.vassals.iter().any(Vassal::has_more_output) {
            return Instant::now();
        }
        let vassals = self.vassals.iter().filter_map(Vassal::deadline);
        vassals.chain([self.next_scan, self.cycle]).min().unwrap_or(self.cycle)
    }

    fn on_event(&mut self, token: Token) {
        match token {
            SIGNALS => {}
            FOLDERS if self.watch.has_news() => self.next_scan = Instant::now() + SETTLE,
            LINK => self.hear_emperor(),
            STATS => self.serve_stats(),
            Token(n @ MONITORS..VASSALS) => {
                monitor::on_event(n - MONITORS);
                self.compare();
            }
            Token(n) if n >= VASSALS => self.on_vassal_event((n - VASSALS) / PER_VASSAL),
            _ => {}
        }
    }

    fn serve_stats(&mut self) {
        if let Some(mut endpoint) = self.stats.take() {
            endpoint.serve(self.poll.registry(), STATS, || stats::document(self));
            self.stats = Some(endpoint);
        }
    }

    /// An emperor may be a vassal itself.
    fn hear_emperor(&mut self) {
        let news = self.link.as_mut().map(EmperorLink::news).unwrap_or_default();
        for news in news {
            match news {
                News::Order(Order::Stop) => self.end(Ending::Graceful),
                News::Order(Order::Reload) => self.reload_all(),
                News::Lost => {
                    say!("lost connection with my emperor !!!");
                    self.end(Ending::Fast);
                }
            }
        }
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGTERM) => self.end(Ending::Graceful),
                Ok(Signal::SIGINT | Signal::SIGQUIT) => self.end(Ending::Fast),
                Ok(Signal::SIGHUP) => self.reload_all(),
                Ok(Signal::SIGWINCH) => self.next_scan = Instant::now(),
                Ok(Signal::SIGUSR1) => self.print_status(),
                _ => {}
            }
        }
    }

    fn print_status(&self) {
        say!("The Emperor is governing {} vassals", self.vassals.len());
        for v in &self.vassals {
            let running = v.process.as_ref();
            say!(
                "vassal {} (pid: {}) last modified {} accepting {} loyal {} failures {}",
                v.id(),
                running.map_or(-1, |r| r.pid),
                v.found.modified,
                running.is_some_and(|r| r.accepting.is_some()),
                running.is_some_and(|r| r.loyal),
                v.throttle.failures
            );
        }
    }

    fn once_a_second(&mut self) {
        self.check_heartbeats();
        self.leftovers.retain_mut(|output| !output.hand_on());
        self.serve_stats();
        if let Some(link) = &mut self.link {
            link.tick(|| true);
        }
        if self.alone {
            startup::notify::alive();
        }
    }

    /// The end of the emperor: that of all vassals, then its own.
    fn end(&mut self, ending: Ending) {
        if self.ending == Some(ending) || self.ending == Some(Ending::Fast) {
            return;
        }
        if self.ending.is_none() {
            say!("*** the Emperor ends: stopping {} vassals ***", self.vassals.len());
            if self.alone {
                startup::notify::stopping();
            }
        }
        self.ending = Some(ending);
        for at in 0..self.vassals.len() {
            self.stop(at, vassal::End::Removed);
        }
        self.forget_ended();
    }
}
