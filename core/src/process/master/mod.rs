//! The master: forks workers and gateways, reaps and respawns them, ends requests that are over time, and carries
//! out what operators ask by signal. Single-threaded; one mio loop.

mod alarms;
mod blame;
mod children;
mod crons;
mod daemons;
mod deadlines;
mod emperor;
mod generation;
mod mules;
mod notices;
mod orders;
mod retry;
mod scale;
mod signals;
mod spoolers;
mod touch;
mod watch;

use super::fifo::MasterFifo;
use super::gateway::{self, Gateway};
use super::handover::Handover;
use super::oom::OomKills;
use super::reload;
use super::scaling::ScalingPolicy;
use super::trial::Trial;
use super::{Role, hear_bell, spawn};
use crate::emperor::link::EmperorLink;
use crate::log::pipe;
use crate::plugin::{hooks, inside};
use crate::server::Server;
use crate::shared::SharedMemory;
use crate::stats::StatsSnapshot;
use crate::stats::push::Pushers;
use crate::stats::server::StatsServer;
use crate::subscription::Announcer;
use crate::{alarm, cache, log, metrics, say, startup, unix_signal};
use daemons::AttachedDaemon;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use notices::Notices;
use retry::Retries;
use scale::Quiet;
use signals::SignalSources;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use touch::Touches;

const SIGNALS: Token = Token(0);
const BELL: Token = Token(1);
const LOG: Token = Token(2);
const STATS: Token = Token(3);
const FIFO: Token = Token(4);
/// A change of a watched file.
const TOUCH: Token = Token(6);
/// A socket of the workers, while there are none.
const WAKE: Token = Token(5);
/// The emperor whose vassal this instance is.
const EMPEROR: Token = Token(7);
/// `--notify-socket`
const NOTICES: Token = Token(8);
/// A file that an application watches.
const MONITORS: Token = Token(9);
/// What any process raises an alarm for.
const ALARMS: Token = Token(10);
/// How long lines of the log wait for others.
const LOG_PACE: Duration = Duration::from_millis(2);
/// A worker that ends sooner than this after its start has failed to live.
const INFANT: Duration = Duration::from_secs(2);
/// The longest pause before a failing worker is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a fast stop waits for workers before it kills them.
const FAST_STOP_MERCY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worker(usize),
    Gateway(usize),
    /// Of the image before this one: a worker, or a gateway (0).
    Old(usize),
    /// A program of `--attach-daemon`.
    Daemon(usize),
    /// Supervises other instances.
    Emperor,
    /// Works beside the workers.
    Mule(usize),
    /// Runs the tasks of a directory.
    Spooler(usize),
    /// A mule or spooler whose successor comes, of this image or the one before.
    OldMule,
}

/// As a log line names one of this kind.
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Worker(id) => write!(f, "worker {id}"),
            Self::Gateway(_) | Self::Old(0) => f.write_str("a gateway"),
            Self::Old(id) => write!(f, "worker {id} of the image before"),
            Self::Daemon(_) => f.write_str("a daemon"),
            Self::Emperor => f.write_str("the emperor"),
            Self::Mule(id) => write!(f, "mule {id}"),
            Self::Spooler(_) => f.write_str("a spooler"),
            Self::OldMule => f.write_str("a mule or spooler of before"),
        }
    }
}

impl Kind {
    /// A worker of the image before.
    fn is_old_worker(self) -> bool {
        matches!(self, Self::Old(1..))
    }

    /// Of the image before: a worker, a mule or a spooler, which hear the signal for their stacks.
    fn is_of_before(self) -> bool {
        matches!(self, Self::Old(1..) | Self::OldMule)
    }

    /// A worker, of this image or the one before.
    fn is_any_worker(self) -> bool {
        matches!(self, Self::Worker(_)) || self.is_old_worker()
    }

    /// A gateway, of this image or the one before.
    fn is_any_gateway(self) -> bool {
        matches!(self, Self::Gateway(_) | Self::Old(0))
    }

    /// A mule or a spooler, of this image or the one before.
    fn is_aside(self) -> bool {
        matches!(self, Self::Mule(_) | Self::Spooler(_) | Self::OldMule)
    }
}

/// A child of the master.
#[derive(Debug)]
struct Process {
    pid: i32,
    kind: Kind,
    born: Instant,
    /// It was told to leave; killed at this moment.
    leaving: Option<Instant>,
    /// It leaves without having been told to; killed at this moment.
    leaves_alone: Option<Instant>,
    /// It was ready once.
    was_ready: bool,
    /// It was asked where it is, before it is killed.
    was_asked: bool,
    /// Where its slots lie; `None`: no worker, or one of an image that lays them out otherwise.
    memory: Option<&'static SharedMemory>,
}

impl Process {
    /// When it has had its time to leave.
    fn kill_at(&self) -> Option<Instant> {
        self.leaving.or(self.leaves_alone)
    }
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Finish what is in flight.
    Graceful,
    /// Now.
    Fast,
}

/// What follows when the last process has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Exit(i32),
    Exec,
}

struct Closing {
    ending: Ending,
    then: Then,
    /// Gateways leave first: the workers still answer for them.
    workers_told: bool,
}

/// A worker id that waits for its next try.
struct Pause {
    until: Instant,
    failures: u32,
}

struct Master {
    server: &'static Server,
    poll: Poll,
    signals: SignalFd,
    /// When the log is read again without being woken for it; `None`: a line wakes the master.
    log_due: Option<Instant>,
    gateways: Vec<Gateway>,
    processes: Vec<Process>,
    pauses: Vec<Option<Pause>>,
    /// Mules that wait for their next try.
    mule_retries: Retries,
    /// How often in a row each mule did not live long.
    mule_failures: Vec<u32>,
    /// Spoolers that wait for their next try.
    spooler_retries: Retries,
    /// Gateways that wait for their next try.
    gateway_retries: Retries,
    closing: Option<Closing>,
    trial: Option<Trial>,
    reloads: u64,
    cycle: Instant,
    ever_ready: bool,
    paused: bool,
    touches: Touches,
    daemons: Vec<AttachedDaemon>,
    /// A chain reload is under way.
    chain: bool,
    stats: StatsServer,
    fifo: Option<MasterFifo>,
    scaling: Option<ScalingPolicy>,
    /// There are no workers until somebody connects.
    asleep: bool,
    quiet: Quiet,
    condemned: Vec<deadlines::Condemned>,
    oom_kills: OomKills,
    /// How many workers the plugins know of.
    told_workers: Option<usize>,
    /// Seconds in which no worker was idle.
    overloaded: u64,
    /// The sockets whose queues were full when last looked at.
    full_backlogs: Vec<bool>,
    /// `when_ready` was called.
    said_ready: bool,
    /// The policy's last look.
    looked: Instant,
    /// The other binary that we came from; given up when this one serves.
    way_back: Option<WayBack>,
    /// To the emperor whose vassal this instance is.
    emperor_link: Option<EmperorLink>,
    notices: Option<Notices>,
    /// When our own emperor is tried again.
    emperor_pause: Option<Instant>,
    /// A reload was asked for while one was being tried.
    reload_again: bool,
    sources: SignalSources,
    caches: cache::Keeper,
    queue_synced: Instant,
    /// Statistics that go out by themselves; there are none before the forks of the start.
    pushers: Option<Pushers>,
    /// Metrics that are made of others, and limits.
    collectors: metrics::collect::Collectors,
    metric_files: metrics::files::MetricFiles,
    announcer: Announcer,
    crons: Vec<crons::CommandCron>,
}

/// The binary of the image before, when it is not ours.
struct WayBack {
    binary: OwnedFd,
    version: String,
}

impl WayBack {
    /// That of a handover, if there is another binary to go back to.
    fn of(handover: &Handover) -> Option<Self> {
        let fd = handover.binary?;
        let is_ours = reload::is_own_binary(fd);
        // SAFETY: the image before left this descriptor for us.
        let binary = unsafe { OwnedFd::from_raw_fd(fd) };
        (!is_ours).then(|| Self {
            binary,
            version: handover.version.clone(),
        })
    }
}

/// Runs the master to its end.
///
/// # Errors
/// What the system refused at the start.
pub fn run(server: &'static Server) -> std::io::Result<i32> {
    let handover = reload::take();
    let is_reload = handover.is_some();
    unix_signal::block_master();
    unix_signal::relay_to_master();
    let bell = super::make_master_bell()?;
    let signals = SignalFd::with_flags(
        &unix_signal::master_set(),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
    poll.registry()
        .register(&mut SourceFd(&bell.as_raw_fd()), BELL, Interest::READABLE)?;
    for (_, pipe) in pipe::descriptors() {
        poll.registry()
            .register(&mut SourceFd(&pipe), LOG, Interest::READABLE)?;
    }
    let notices = Notices::bind(&server.settings, poll.registry())?;
    alarms::watch(poll.registry())?;
    let daemons = daemons::configured(&server.settings)?;
    let touches = Touches::new(&server.settings, poll.registry());
    let sources = SignalSources::new(&server.settings, poll.registry());
    let stats = StatsServer::new(poll.registry(), STATS)?;
    let mut master = Master {
        server,
        poll,
        signals,
        log_due: None,
        gateways: gateway::all(),
        processes: Vec::new(),
        pauses: (0..=server.shared.worker_count()).map(|_| None).collect(),
        mule_retries: Retries::default(),
        mule_failures: vec![0; server.settings.background.mules.len() + 1],
        spooler_retries: Retries::default(),
        gateway_retries: Retries::default(),
        closing: None,
        trial: None,
        reloads: handover.as_ref().map_or(0, |h| h.reloads),
        cycle: Instant::now(),
        ever_ready: false,
        paused: false,
        touches,
        daemons,
        chain: false,
        stats,
        fifo: None,
        scaling: ScalingPolicy::new(&server.settings.processes, |text| say!("{text}")),
        asleep: false,
        quiet: Quiet::new(),
        condemned: Vec::new(),
        oom_kills: OomKills::now(),
        told_workers: None,
        overloaded: 0,
        full_backlogs: vec![false; server.sockets.len()],
        said_ready: false,
        looked: Instant::now(),
        way_back: None,
        emperor_link: EmperorLink::open(server.settings.emperor.heartbeat),
        notices,
        emperor_pause: None,
        reload_again: false,
        sources,
        caches: cache::Keeper::new(),
        queue_synced: Instant::now(),
        pushers: None,
        collectors: metrics::collect::Collectors::configured(&server.settings),
        metric_files: metrics::files::MetricFiles::default(),
        announcer: Announcer::default(),
        crons: crons::configured(&server.settings),
    };
    if let Some(handover) = handover {
        master.adopt(&handover);
        master.adopt_emperor(&handover);
        master.adopt_mules(&handover);
    }
    // SAFETY: the master's own record; `uwsgi.masterpid()` reads it.
    unsafe { (*server.shared.worker(0)).pid = std::process::id() as i32 };
    say!("spawned rsgi master process (pid: {})", std::process::id());
    startup::hooks::run(&server.settings.hooks.master_start);
    hooks::master_fixup(0);
    hooks::settle(&server.settings.hooks.after_request);
    match is_reload {
        true => hooks::on_reload(),
        false => hooks::on_starting().map_err(std::io::Error::other)?,
    }
    master.open_fifo(0);
    master.greet_emperor()?;
    master.start_emperor();
    master.start_workers();
    for at in 0..master.gateways.len() {
        master.spawn_gateway(at);
    }
    master.start_mules();
    master.start_spoolers();
    master.start_daemons();
    startup::notify::started();
    log::begin_threads();
    alarm::descriptor::begin();
    master.pushers = Some(Pushers::configured(server));
    Ok(master.run())
}

impl Master {
    fn run(&mut self) -> i32 {
        let mut events = Events::with_capacity(16);
        loop {
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            // interrupted or not: whatever there is to do is looked at below
            let _ = self.poll.poll(&mut events, Some(wait));
            self.read_signals();
            hear_bell();
            self.look_at_log();
            self.reap();
            self.settle_generations();
            self.retire_old_mules();
            self.kill_overdue();
            self.end_condemned();
            self.respawn_due();
            self.respawn_due_mules();
            self.respawn_due_spoolers();
            self.start_due_daemons();
            self.read_fifo();
            self.hear_touches();
            self.run_signals();
            alarm::carry_out();
            self.run_crons();
            self.wake_when_asked();
            self.hear_emperor();
            self.log_notices();
            self.serve_stats();
            if self.cycle <= Instant::now() {
                self.cycle = Instant::now() + Duration::from_secs(1);
                self.once_a_second();
            }
            self.publish_worker_count();
            if let Some(then) = self.closed() {
                pipe::drain();
                hooks::master_cleanup();
                match then {
                    Then::Exit(code) => {
                        hooks::on_exit();
                        return code;
                    }
                    Then::Exec => self.exec(),
                }
            }
        }
    }

    /// The next moment at which something is due.
    fn next_deadline(&self) -> Instant {
        let pauses = self.pauses.iter().flatten().map(|p| p.until);
        let kills = self.processes.iter().filter_map(Process::kill_at);
        let stats = self.stats.next_deadline();
        let condemned = self.condemned.iter().filter_map(|c| c.due());
        pauses
            .chain(self.gateway_retries.next())
            .chain(kills)
            .chain(condemned)
            .chain(stats)
            .chain(self.emperor_pause)
            .chain(self.next_daemon())
            .chain(self.next_cron())
            .chain(self.sources.next().filter(|_| self.closing.is_none()))
            .chain(self.mule_retries.next())
            .chain(self.spooler_retries.next())
            .chain(self.log_due)
            .chain(pipe::has_more().then_some(self.looked))
            .chain([self.cycle])
            .min()
            .unwrap_or(self.cycle)
    }

    fn serve_stats(&mut self) {
        let mut stats = std::mem::take(&mut self.stats);
        stats.serve(self.poll.registry(), STATS, || self.snapshot());
        self.stats = stats;
    }

    fn push_stats(&mut self) {
        if let Some(mut pushers) = self.pushers.take() {
            pushers.tick(self.server, self.overloaded, || self.snapshot());
            self.pushers = Some(pushers);
        }
    }

    fn snapshot(&self) -> StatsSnapshot<'_> {
        StatsSnapshot {
            server: self.server,
            daemons: self.daemon_figures(),
            crons: crons::stats(&self.crons),
            ready: self.readiness(),
            reloads: self.reloads,
            overloaded: self.overloaded,
        }
    }

    /// Whether requests are taken; if not, why.
    fn readiness(&self) -> Result<(), &'static str> {
        if self.closing.is_some() {
            return Err("stopping");
        }
        if self.paused {
            return Err("paused");
        }
        // while a new image starts its workers, those of the one before serve; asleep, the next connection wakes some
        let serves = |p: &Process| match p.kind {
            Kind::Worker(_) => p.was_ready,
            Kind::Old(_) => p.kind.is_old_worker() && p.leaving.is_none(),
            Kind::Gateway(_) | Kind::Daemon(_) | Kind::Emperor | Kind::Mule(_) | Kind::Spooler(_) | Kind::OldMule => {
                false
            }
        };
        if self.asleep || self.processes.iter().any(serves) {
            Ok(())
        } else {
            Err("starting")
        }
    }

    /// Reads the log when it is due. While lines come they are fetched at a pace: to be woken for each would cost the
    /// workers more than the lines themselves. The first line after a silence is fetched at once.
    fn look_at_log(&mut self) {
        let now = Instant::now();
        if self.log_due.is_some_and(|due| now < due) {
            return;
        }
        let is_lively = pipe::drain();
        if is_lively != self.log_due.is_some() {
            let registry = self.poll.registry();
            for (_, fd) in pipe::descriptors() {
                let changed = match is_lively {
                    true => registry.deregister(&mut SourceFd(&fd)),
                    false => registry.register(&mut SourceFd(&fd), LOG, Interest::READABLE),
                };
                if let Err(e) = changed {
                    say!("cannot watch the log pipe: {e}");
                }
            }
        }
        self.log_due = is_lively.then(|| if pipe::has_more() { now } else { now + LOG_PACE });
    }
}

/// Tells a process to leave, once; it is killed when its time is up.
fn tell(process: &mut Process, signal: Signal, mercy: Duration) {
    if process.leaving.is_none() {
        process.leaving = Some(Instant::now() + mercy);
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// The life of a server without a master: this process is worker 1, the others are its children.
pub fn run_without(server: &'static Server) -> ! {
    hooks::settle(&server.settings.hooks.after_request);
    inside::end::serves();
    for id in 2..=server.shared.worker_count() {
        match spawn::worker(id) {
            Ok(pid) => say!(
                "spawned rsgi worker {id} (pid: {pid}, cores: {})",
                server.shared.core_count()
            ),
            Err(e) => say!("cannot fork worker {id}: fork(): {e}"),
        }
    }
    if !server.settings.emperor.sources.is_empty()
        && let Err(e) = spawn::emperor()
    {
        say!("cannot fork the emperor: fork(): {e}");
    }
    for gateway in gateway::all() {
        match spawn::gateway(&gateway) {
            Ok(pid) => say!("spawned rsgi {} {} (pid: {pid})", gateway.name, gateway.number),
            Err(e) => say!("cannot fork gateway {}: fork(): {e}", gateway.name),
        }
    }
    super::set_role(Role::Worker);
    crate::server::publish_process(1);
    // SAFETY: the record of worker 1, which is this process.
    unsafe {
        let record = server.shared.worker(1);
        (*record).pid = std::process::id() as i32;
        (*record).last_spawn = crate::exports::now();
        (*record).respawn_count = 1;
    }
    let cores = server.shared.core_count();
    let only = if server.shared.worker_count() == 1 {
        "(and the only) "
    } else {
        ""
    };
    say!(
        "spawned rsgi worker 1 {only}(pid: {}, cores: {cores})",
        std::process::id()
    );
    // without a master nobody takes the emperor's orders, but it is to know that we are here
    if let Some(mut link) = EmperorLink::open(0) {
        link.accepting();
        std::mem::forget(link);
    }
    crate::worker::run(1)
}
