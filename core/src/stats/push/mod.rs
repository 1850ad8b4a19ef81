//! Statistics that go out by themselves (`--stats-push`, `--carbon`). The master looks at the figures when a push is due, a
//! thread sends them: a server that hangs delays nobody, and the next lot replaces the one that it did not take.

mod form;
mod otlp;
pub mod plugin;

use super::StatsSnapshot;
use super::metrics as built_in;
use crate::server::Server;
use crate::settings::{MetricKind, Settings};
use crate::{metrics, say};
use form::Row;
use otlp::Url;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant, SystemTime};

/// Seconds between two pushes when nothing else is said.
const FREQUENCY: u64 = 3;
/// The same for carbon, whose files have a point a minute.
const CARBON_FREQUENCY: u64 = 60;
/// How long a server may take to connect, and for its lot, when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(3);
/// Lots that may wait.
const WAITING: usize = 16;

/// How long a fork waits for the thread.
const FORK_WAIT: Duration = Duration::from_millis(50);

/// Held while the thread sends: a child that is forked meanwhile would keep its connection open.
static SENDING: Mutex<()> = Mutex::new(());

/// For a fork: the thread is not sending, unless it takes long. The parent drops what it gets, the child forgets it.
pub fn hold() -> Option<MutexGuard<'static, ()>> {
    let end = Instant::now() + FORK_WAIT;
    loop {
        match SENDING.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// What a sink is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Statsd,
    Dogstatsd,
    Carbon,
    /// OpenTelemetry, in JSON.
    Otlp,
    /// The document of the statistics server.
    Json,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Udp(SocketAddr),
    UnixDatagrams(String),
    Tcp(SocketAddr),
    /// The body of a POST.
    Http(Url),
    File {
        path: String,
        separator: Vec<u8>,
    },
}

/// What is done for a lot that the server does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effort {
    /// How long it may take to connect, and for its lot.
    patience: Duration,
    /// How often it is tried again, and after which pause.
    retries: u64,
    pause: Duration,
}

#[derive(Debug)]
struct Target {
    label: String,
    kind: Kind,
    place: Place,
    effort: Effort,
    /// In front of names, or of the document.
    prefix: String,
    every: Duration,
    due: Instant,
    /// What counters had when they were pushed last.
    before: HashMap<String, i64>,
}

struct Lot {
    label: String,
    place: Place,
    effort: Effort,
    packets: Vec<Vec<u8>>,
}

/// All sinks.
pub struct Pushers {
    targets: Vec<Target>,
    sender: Option<SyncSender<Lot>>,
    /// Those of plugins.
    callers: Option<plugin::Callers>,
    is_behind: bool,
    /// Since when counters count.
    began: SystemTime,
}

fn resolve(address: &str, default_port: u16) -> Result<SocketAddr, String> {
    let whole = match address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => address.to_owned(),
        _ => format!("{address}:{default_port}"),
    };
    let mut found = whole.to_socket_addrs().map_err(|e| format!("\"{address}\": {e}"))?;
    found.next().ok_or_else(|| format!("\"{address}\" has no address"))
}

/// `file:PATH`, or `file:path=PATH,separator=TEXT`.
fn file(argument: &str) -> Result<Place, String> {
    let (mut path, mut separator) = (argument.to_owned(), "\n".to_owned());
    if argument.starts_with("path=") || argument.contains(",path=") {
        for part in argument.split(',') {
            match part.split_once('=') {
                Some(("path", value)) => path = value.to_owned(),
                Some(("separator", value)) => separator = value.replace("\\n", "\n").replace("\\t", "\t"),
                _ => return Err(format!("unknown \"{part}\": known are path, separator")),
            }
        }
    }
    match path.is_empty() {
        true => Err("no path: give file:/run/stats.json".into()),
        false => Ok(Place::File {
            path,
            separator: separator.into(),
        }),
    }
}

fn target(text: &str, settings: &Settings) -> Result<Target, String> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let (address, prefix) = argument.split_once(',').unwrap_or((argument, ""));
    let datagrams = |port| match address.starts_with(['/', '@']) {
        true => Ok(Place::UnixDatagrams(address.to_owned())),
        false => resolve(address, port).map(Place::Udp),
    };
    let (kind, place) = match name {
        "statsd" => (Kind::Statsd, datagrams(8125)?),
        "dogstatsd" => (Kind::Dogstatsd, datagrams(8125)?),
        "carbon" => (Kind::Carbon, Place::Tcp(resolve(address, 2003)?)),
        "socket" => (Kind::Json, datagrams(0)?),
        "file" => (Kind::Json, file(argument)?),
        "otlp" => (Kind::Otlp, Place::Http(Url::parse(address)?)),
        other => {
            return Err(format!(
                "\"{other}\" is none of statsd, dogstatsd, carbon, otlp, socket, file, and no plugin brings it"
            ));
        }
    };
    let prefix = match kind {
        Kind::Carbon => form::carbon_prefix(settings),
        Kind::Json if matches!(place, Place::File { .. }) => String::new(),
        _ if prefix.is_empty() && kind != Kind::Json => "rsgi".into(),
        _ => prefix.to_owned(),
    };
    let stats = &settings.stats;
    let every = match kind {
        Kind::Carbon => stats.carbon_freq.unwrap_or(CARBON_FREQUENCY),
        _ => stats.push_freq.unwrap_or(FREQUENCY),
    };
    let mut effort = Effort {
        patience: PATIENCE,
        retries: 0,
        pause: PATIENCE,
    };
    if kind == Kind::Carbon {
        let seconds = |n: Option<u64>| n.map_or(PATIENCE, |n| Duration::from_secs(n.max(1)));
        effort.patience = seconds(stats.carbon_timeout);
        effort.retries = stats.carbon_max_retry.unwrap_or(0);
        effort.pause = seconds(stats.carbon_retry_delay);
    }
    Ok(Target {
        label: text.to_owned(),
        kind,
        place,
        effort,
        prefix,
        every: Duration::from_secs(every.max(1)),
        due: Instant::now(),
        before: HashMap::new(),
    })
}

fn targets(settings: &Settings) -> Result<Vec<Target>, String> {
    let carbon = settings.stats.carbon.iter().map(|a| format!("carbon:{a}"));
    let all = settings.stats.push.iter().cloned().chain(carbon);
    let is_ours = |text: &String| !plugin::is_known(text.split(':').next().unwrap_or_default());
    all.filter(is_ours)
        .map(|text| target(&text, settings).map_err(|e| format!("stats-push {text}: {e}")))
        .collect()
}

/// Tells the plugins what is to be pushed by them; in the start, after their init.
pub fn install(settings: &Settings) {
    for text in &settings.stats.push {
        plugin::configure(text);
    }
}

/// Whether the configuration can work.
///
/// # Errors
/// One line.
pub fn check(settings: &Settings) -> Result<(), String> {
    targets(settings).map(drop)
}

impl Pushers {
    /// Those of the configuration; in the master, after the forks of the start.
    pub fn configured(server: &Server) -> Self {
        // looked at in the start; a name that has lost its address meanwhile is said
        let mut targets = targets(&server.settings).unwrap_or_else(|e| {
            say!("{e}");
            Vec::new()
        });
        // what was counted before a reload was told before it
        if !targets.is_empty() {
            let now = values(&rows(server, 0));
            targets.iter_mut().for_each(|target| target.before.clone_from(&now));
        }
        let sender = (!targets.is_empty()).then(|| {
            let (sender, lots) = sync_channel(WAITING);
            let thread = std::thread::Builder::new().name("pusher".into());
            if let Err(e) = thread.spawn(move || send_all(&lots)) {
                say!("stats-push: no thread for it: {e}");
            }
            sender
        });
        Self {
            targets,
            sender,
            callers: plugin::Callers::start(server.settings.stats.push_freq.unwrap_or(FREQUENCY)),
            is_behind: false,
            began: SystemTime::now(),
        }
    }

    /// Pushes what is due.
    pub fn tick<'s>(&mut self, server: &Server, overloaded: u64, snapshot: impl Fn() -> StatsSnapshot<'s>) {
        if let Some(callers) = &self.callers {
            callers.tick(crate::exports::now(), || snapshot().to_json());
        }
        let now = Instant::now();
        let Some(sender) = &self.sender else { return };
        if self.targets.iter().all(|target| target.due > now) {
            return;
        }
        let rows = rows(server, overloaded);
        for target in self.targets.iter_mut().filter(|target| target.due <= now) {
            // the master's second is a little longer than one
            target.due = now + target.every - Duration::from_millis(500);
            let packets = match target.kind {
                Kind::Json => vec![[target.prefix.as_bytes(), &snapshot().to_json()].concat()],
                Kind::Carbon => vec![form::carbon(&rows, &target.prefix, crate::exports::now())],
                Kind::Otlp => vec![otlp::document(&rows, &target.prefix, self.began, SystemTime::now())],
                Kind::Statsd | Kind::Dogstatsd => {
                    let with_tags = target.kind == Kind::Dogstatsd;
                    let gauges = server.settings.stats.statsd_all_gauges;
                    let changes = form::changes(&rows, &target.before, gauges);
                    target.before = values(&rows);
                    form::statsd(&changes, &target.prefix, with_tags)
                }
            };
            let lot = Lot {
                label: target.label.clone(),
                place: target.place.clone(),
                effort: target.effort,
                packets,
            };
            match sender.try_send(lot) {
                Ok(()) => self.is_behind = false,
                Err(TrySendError::Full(lot)) if !self.is_behind => {
                    self.is_behind = true;
                    say!("stats-push: too slow, lots are left out ({})", lot.label);
                }
                Err(_) => {}
            }
        }
        metrics::all().iter().for_each(metrics::Metric::pushed);
    }
}

fn values(rows: &[Row]) -> HashMap<String, i64> {
    rows.iter().map(|row| (row.name.clone(), row.value)).collect()
}

/// All metrics now.
fn rows(server: &Server, overloaded: u64) -> Vec<Row> {
    let no_workers = server.settings.stats.push_no_workers;
    let mut rows = Vec::new();
    let mut put = |name: &str, kind: MetricKind, value: i64| {
        let is_worker = name.starts_with("worker.") && !name.starts_with("worker.0.");
        if !(no_workers && is_worker) {
            let is_counter = kind == MetricKind::Counter;
            rows.push(Row {
                name: name.to_owned(),
                is_counter,
                value,
            });
        }
    };
    built_in::each(server, overloaded, &mut |row| put(row.name, row.kind, row.value as i64));
    metrics::all().iter().for_each(|m| put(m.name, m.kind, m.value()));
    rows
}

/// The thread's life.
fn send_all(lots: &Receiver<Lot>) {
    let mut failed = Vec::new();
    while let Ok(lot) = lots.recv() {
        let mut sent = send(&lot);
        for _ in 0..lot.effort.retries {
            if sent.is_ok() {
                break;
            }
            std::thread::sleep(lot.effort.pause);
            sent = send(&lot);
        }
        match sent {
            Ok(()) if failed.contains(&lot.label) => {
                failed.retain(|label| *label != lot.label);
                say!("stats-push {}: works again", lot.label);
            }
            Err(e) if !failed.contains(&lot.label) => {
                say!("stats-push {}: {e}", lot.label);
                failed.push(lot.label);
            }
            _ => {}
        }
    }
}

fn send(lot: &Lot) -> io::Result<()> {
    let _sending = SENDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let patience = lot.effort.patience;
    match &lot.place {
        Place::Udp(address) => {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            for packet in &lot.packets {
                socket.send_to(packet, address)?;
            }
        }
        Place::UnixDatagrams(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(patience))?;
            for packet in &lot.packets {
                socket.send_to(packet, path)?;
            }
        }
        Place::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(address, patience)?;
            stream.set_write_timeout(Some(patience))?;
            for packet in &lot.packets {
                stream.write_all(packet)?;
            }
        }
        Place::Http(url) => {
            for packet in &lot.packets {
                url.post(packet, patience)?;
            }
        }
        Place::File { path, separator } => {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.create(true).append(true).mode(0o640).open(path)?;
            for packet in &lot.packets {
                file.write_all(&[packet.as_slice(), separator].concat())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_waits_for_what_is_being_sent_but_not_for_long() {
        let (began, has_begun) = sync_channel(0);
        let (may_end, end) = sync_channel::<()>(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _sending = SENDING.lock();
                began.send(()).unwrap();
                let _ = end.recv();
            });
            has_begun.recv().unwrap();
            let start = Instant::now();
            assert!(hold().is_none());
            assert!(start.elapsed() >= FORK_WAIT);
            drop(may_end);
        });
        assert!(hold().is_some());
    }

    #[test]
    fn carbon_is_waited_for_and_tried_again_as_configured() {
        let mut settings = Settings::default();
        let effort = |settings: &Settings, text| target(text, settings).unwrap().effort;
        let usual = effort(&settings, "carbon:127.0.0.1");
        assert_eq!((usual.patience, usual.retries), (PATIENCE, 0));
        let stats = &mut settings.stats;
        (stats.carbon_timeout, stats.carbon_max_retry, stats.carbon_retry_delay) = (Some(1), Some(2), Some(7));
        let other = effort(&settings, "carbon:127.0.0.1");
        assert_eq!(
            (other.patience, other.retries, other.pause),
            (Duration::from_secs(1), 2, Duration::from_secs(7))
        );
        assert_eq!(effort(&settings, "statsd:127.0.0.1"), usual);
    }

    #[test]
    fn sinks_are_a_kind_and_an_address() {
        let read = |text: &str| target(text, &Settings::default());
        let statsd = read("statsd:127.0.0.1,shop").unwrap();
        assert_eq!(statsd.place, Place::Udp(([127, 0, 0, 1], 8125).into()));
        assert_eq!((statsd.kind, statsd.prefix.as_str()), (Kind::Statsd, "shop"));
        let file = read("file:path=/f,separator=--\\n").unwrap().place;
        assert!(matches!(file, Place::File { path, separator } if path == "/f" && separator == b"--\n"));
        for (text, said) in [
            ("statsdd:1", "none of statsd"),
            ("file:", "no path"),
            ("file:path=/f,colour=red", "\"colour=red\""),
            ("carbon:", ""),
        ] {
            assert!(read(text).unwrap_err().contains(said), "{text}");
        }
    }
}
