//! Death by SIGKILL at any moment, of spoolers that run tasks and of workers that enqueue them: no task is lost, none
//! is run again once its SPOOL_OK is written down, none is half. Few tasks in each run of the tests, 10 000 with
//! `make soak-spooler`.

use rsgi_tests::{Server, Setup, is_alive, send, wait_for};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const APP: &str = r#"
import os, time, uwsgi
def opened(name):
    return os.open("@DIR@/" + name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
BODY = bytes(range(256)) * 8
def run(task):
    n = int(task[b"n"])
    assert task["body"] == BODY, "half a task"
    time.sleep(@SECONDS@ / 2)
    os.write(ran, b"%d %d\n" % (n, os.getpid()))
    # who dies here has done it, and has not said so
    time.sleep(@SECONDS@ / 2)
    return uwsgi.SPOOL_OK
uwsgi.spooler = run
ran = opened("ran")
accepted = opened("accepted")
def application(env, start_response):
    first, last = env["QUERY_STRING"].split("-")
    for n in range(int(first), int(last)):
        uwsgi.spool({b"n": b"%d" % n, b"filler": b"x" * 500, b"body": BODY})
        os.write(accepted, b"%d\n" % n)
    start_response("200 OK", [])
    return [b"done"]
"#;
const SPOOLERS: usize = 4;
const WORKERS: usize = 3;
const BATCH: usize = 50;

/// Numbers that nobody foresees; whoever wants to see a run again takes its seed from the output.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

fn numbers(server: &Server, name: &str) -> Vec<(usize, i32)> {
    let text = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap_or((line, "0")));
    lines
        .map(|(n, pid)| (n.parse().expect("a number"), pid.parse().expect("a pid")))
        .collect()
}

fn spoolers(server: &Server) -> Vec<i32> {
    let log = server.log();
    let pids = log
        .lines()
        .filter(|line| line.contains("spawned the rsgi spooler on dir"));
    let pids = pids.filter_map(|line| line.rsplit_once("with pid ")?.1.parse().ok());
    pids.filter(|pid| is_alive(*pid)).collect()
}

/// A request whose worker may be killed.
fn get(port: u16, path: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn left(server: &Server) -> usize {
    std::fs::read_dir(server.dir().join("sp")).map_or(0, Iterator::count)
}

/// Enqueues `count` tasks that take `millis` each while processes are killed, with up to `pause` microseconds between
/// two deaths. Fewer would do: spoolers that die young are started again with a pause.
fn kill_at_random(count: usize, millis: u64, pause: usize) {
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |d| d.as_nanos() as u64);
    let mut chance = Chance(seed);
    let app = APP.replace("@SECONDS@", &format!("{}", millis as f64 / 1000.0));
    let (workers, processes) = (WORKERS.to_string(), SPOOLERS.to_string());
    let server = Setup::new()
        .wsgi(&app)
        .args(["-p", &workers, "--disable-logging"])
        .args(["--spooler", "@DIR@/sp", "--spooler-processes", &processes])
        .args(["--spooler-quiet", "--spooler-frequency", "2"])
        .start();
    let (port, next) = (server.port(), AtomicUsize::new(0));
    let mut killed: Vec<i32> = Vec::new();
    let end = Instant::now() + Duration::from_secs(240);
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    while next.load(Ordering::Relaxed) < count + count / 20 {
                        let first = next.fetch_add(BATCH, Ordering::Relaxed);
                        // its worker may be killed: what was not accepted was never promised
                        let _ = get(port, &format!("/?{first}-{}", first + BATCH));
                    }
                })
            })
            .collect();
        while producers.iter().any(|p| !p.is_finished()) || left(&server) > 0 {
            assert!(
                Instant::now() < end,
                "seed {seed}: {} tasks left\n{}",
                left(&server),
                server.log()
            );
            std::thread::sleep(Duration::from_micros(chance.below(pause) as u64));
            let workers = server.workers().into_iter().map(|(_, pid)| pid);
            let victims = match chance.below(4) {
                0 => workers.collect::<Vec<_>>(),
                _ => spoolers(&server),
            };
            if !victims.is_empty() {
                let victim = victims[chance.below(victims.len())];
                send(victim, libc::SIGKILL);
                killed.push(victim);
            }
        }
    });
    let killed: HashSet<i32> = killed.into_iter().collect();
    let accepted: HashSet<usize> = numbers(&server, "accepted").into_iter().map(|(n, _)| n).collect();
    // the last ones to be killed may have had a task each
    wait_for("an empty directory", || (left(&server) == 0).then_some(()));
    let mut runs: HashMap<usize, Vec<i32>> = HashMap::new();
    for (n, pid) in numbers(&server, "ran") {
        runs.entry(n).or_default().push(pid);
    }
    let lost: Vec<_> = accepted.iter().filter(|n| !runs.contains_key(n)).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    let mut repeated = 0;
    for (n, pids) in &runs {
        let (_, before) = pids.split_last().expect("it ran");
        repeated += before.len();
        // who ran it before was killed between its last word and the record
        assert!(
            before.iter().all(|pid| killed.contains(pid)),
            "seed {seed}: task {n} was run again after {before:?}"
        );
    }
    let deaths_with_task: HashSet<i32> = runs
        .values()
        .flat_map(|pids| &pids[..pids.len() - 1])
        .copied()
        .collect();
    assert_eq!(
        repeated,
        deaths_with_task.len(),
        "seed {seed}: one death repeats one task"
    );
    let log = server.log();
    assert!(!log.contains("half a task") && !log.contains("no whole task"), "{log}");
    println!(
        "{} tasks accepted, {} run, {} of them twice, {} processes killed (seed {seed})",
        accepted.len(),
        runs.len(),
        repeated,
        killed.len()
    );
}

#[test]
fn tasks_survive_the_death_of_those_who_run_and_enqueue_them() {
    kill_at_random(500, 5, 150_000);
}

#[test]
#[ignore = "takes a minute: make soak-spooler"]
fn ten_thousand_tasks_survive() {
    kill_at_random(10_000, 4, 400_000);
}
