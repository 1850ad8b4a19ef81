//! Death by SIGKILL, at any moment and of any process, under load: a few in each run of the tests, a hundred with
//! `make soak`.

use rsgi_tests::load::Load;
use rsgi_tests::{Server, Setup, is_alive, send, wait_for};

const APP: &str = "
import os, time
def application(env, start_response):
    time.sleep(0.002)
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";
const WORKERS: usize = 3;
const CLIENTS: usize = 4;

/// Direct children, living ones.
fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = text.split_whitespace().filter_map(|p| p.parse().ok());
    pids.filter(|p| is_alive(*p)).collect()
}

fn start(ports: Option<(u16, u16)>) -> Server {
    let (http, gateway) = ports.unwrap_or((0, 0));
    let mut server = Setup::new()
        .file("app.py", APP)
        .args([
            "--wsgi-file",
            "@DIR@/app.py",
            "--disable-logging",
            "-p",
            "3",
            "--threads",
            "2",
        ])
        .args(["--http-socket", &format!("127.0.0.1:{http}")])
        .args(["--http", &format!("127.0.0.1:{gateway}"), "--health", "127.0.0.1:0"])
        .start_unready();
    server.wait_log("health endpoint on", 1);
    server
}

fn health(server: &Server) -> u16 {
    let log = server.log();
    let rest = log.split("health endpoint on 127.0.0.1:").nth(1).expect("it is said");
    rest.split(' ').next().and_then(|p| p.parse().ok()).expect("a port")
}

/// All workers take requests, and the gateway is there.
fn wait_full_strength(server: &Server) -> Vec<i32> {
    let health = health(server);
    wait_for("full strength", || {
        let metrics = rsgi_tests::http::get(health, "/metrics").text();
        let accepting = metrics.matches("uwsgi_worker_accepting{").count();
        let all =
            (1..=WORKERS).all(|id| metrics.contains(&format!("uwsgi_worker_accepting{{worker_id=\"{id}\"}} 1\n")));
        let children = children(server.pid());
        (accepting == WORKERS && all && children.len() == WORKERS + 1).then_some(children)
    })
}

/// Kills each process of the server in turn, `rounds` times in all; every tenth time it is the master.
fn kill_in_turn(rounds: usize) {
    let mut server = start(None);
    for round in 0..rounds {
        let processes = wait_full_strength(&server);
        let ports = (server.port(), server.gateway_port());
        let fresh = Load::start(ports.0, "/", CLIENTS, false);
        let kept = Load::start(ports.1, "/", CLIENTS, true);
        fresh.wait_answers(20);
        kept.wait_answers(20);
        let is_master = round % 10 == 9;
        if is_master {
            send(server.pid(), libc::SIGKILL);
            wait_for("the end of all orphans", || {
                processes.iter().all(|p| !is_alive(*p)).then_some(())
            });
            fresh.finish();
            kept.finish();
            // the ports are free at once
            server = start(Some(ports));
            continue;
        }
        if round % 3 == 1 {
            // and in the middle of a reload, sooner or later
            server.signal(libc::SIGHUP);
            std::thread::sleep(std::time::Duration::from_millis(round as u64 * 7 % 250));
        }
        let now = children(server.pid());
        let victim = now[round % now.len()];
        send(victim, libc::SIGKILL);
        wait_for("its end", || (!is_alive(victim)).then_some(()));
        wait_full_strength(&server);
        fresh.wait_answers(20);
        kept.wait_answers(20);
        for seen in [fresh.finish(), kept.finish()] {
            // the process that dies takes down what it was serving: at most one request of each client
            assert!(seen.failures.len() <= CLIENTS, "round {round}: {:?}", seen.failures);
            assert_eq!(seen.refused, 0, "round {round}");
        }
    }
    // the last one may just have been started: before it serves, the signal ends it as it ends any program
    wait_full_strength(&server);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn killed_processes_come_back_and_orphans_do_not_stay() {
    kill_in_turn(10);
}

#[test]
#[ignore = "a few minutes: make soak"]
fn a_hundred_deaths() {
    kill_in_turn(100);
}
