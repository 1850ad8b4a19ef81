//! uWSGI signals: who gets one, that none is lost, and what callers hear when something is wrong.

use rsgi_tests::{Server, Setup, http, send, wait_for};
use std::io::{Read, Write};

const APP: &str = r#"
import os, time, uwsgi
from urllib.parse import unquote
def note(text):
    fd = os.open("@DIR@/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (text + "\n").encode()); os.close(fd)
def hit(n): note("%d in %d" % (n, uwsgi.worker_id()))
def slow(n): time.sleep(0.005); hit(n)
def stuck(n): note("stuck"); time.sleep(60)
uwsgi.register_signal(1, "worker", hit)
if uwsgi.numproc > 1: uwsgi.register_signal(2, "worker2", hit)
uwsgi.register_signal(3, "workers", hit)
uwsgi.register_signal(4, "worker", slow)
uwsgi.register_signal(5, "worker1", stuck)
uwsgi.register_signal(6, "worker1", hit)
def application(env, start):
    start("200 OK", [])
    try: return [repr(eval(unquote(env["QUERY_STRING"]))).encode()]
    except Exception as e: return [(type(e).__name__ + ": " + str(e)).encode()]
"#;

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn eval(server: &Server, code: &str) -> String {
    server.get(&format!("/?{}", code.replace(' ', "%20"))).text()
}

fn notes(server: &Server) -> Vec<String> {
    let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_notes(server: &Server, count: usize) -> Vec<String> {
    wait_for(&format!("{count} notes"), || {
        Some(notes(server)).filter(|all| all.len() >= count)
    })
}

#[test]
fn each_target_gets_its_signals_once() {
    let mut server = serve(&["-p", "3"]);
    server.wait_workers(3, &[]);
    assert_eq!(
        eval(&server, "[uwsgi.signal(1),uwsgi.signal(2),uwsgi.signal(3)]"),
        "[None, None, None]"
    );
    let mut all = wait_notes(&server, 5);
    all.sort();
    assert!(all[0].starts_with("1 in "));
    assert_eq!(all[1..], ["2 in 2", "3 in 1", "3 in 2", "3 in 3"]);
}

#[test]
fn wrong_registrations_say_what_would_be_right() {
    let server = serve(&["-p", "1"]);
    for target in ["bogus", "workerX", "worker9", "mule0x", "farm_x"] {
        let words = eval(&server, &format!("uwsgi.register_signal(9,'{target}',hit)"));
        assert!(words.starts_with("ValueError: unable to register signal"), "{words}");
        assert!(words.contains("active-workers"), "the grammar is missing: {words}");
    }
    assert!(eval(&server, "uwsgi.register_signal(256,'',hit)").starts_with("ValueError"));
    assert!(eval(&server, "uwsgi.register_signal('1','',hit)").starts_with("TypeError"));
    assert!(eval(&server, "uwsgi.add_timer(1,0)").starts_with("ValueError"));
    assert!(eval(&server, "uwsgi.add_file_monitor(1,'/does/not/exist')").contains("/does/not/exist"));
    assert_eq!(eval(&server, "uwsgi.signal_registered(1)"), "True");
    assert_eq!(eval(&server, "uwsgi.register_signal(9,'mule1',hit)"), "None");
    assert!(eval(&server, "uwsgi.signal(9)").starts_with("OSError: signal 9: mule 1 does not exist here"));
    assert_eq!(eval(&server, "uwsgi.unregister_signal(1)"), "None");
    assert_eq!(eval(&server, "uwsgi.signal_registered(1)"), "None");
    assert!(eval(&server, "uwsgi.unregister_signal(1)").starts_with("ValueError"));
}

#[test]
fn a_full_queue_is_said_to_the_caller() {
    let server = serve(&["-p", "1"]);
    let words = eval(&server, "[uwsgi.signal(6)for(i)in(range(131073))]");
    assert!(words.starts_with("OSError: *** SIGNAL QUEUE IS FULL"), "{words}");
}

#[test]
fn none_is_lost_when_workers_die() {
    let mut server = serve(&["-p", "2"]);
    let workers = server.wait_workers(2, &[]);
    eval(&server, "[uwsgi.signal(4)for(i)in(range(300))]");
    wait_notes(&server, 20);
    for (_, pid) in &workers {
        send(*pid, libc::SIGKILL);
    }
    // what one of the two had in hand when it died is said: each is handled or in the log
    let lost = || server.log().matches("[uwsgi-signal] signal 4 is lost: worker").count();
    wait_for("300 signals handled or reported", || {
        (notes(&server).len() + lost() >= 300).then_some(())
    });
    // killed after its note, before its end: both at once
    assert!(notes(&server).len() <= 300 && lost() <= 2);
}

#[test]
fn one_that_may_wait_only_once_is_not_put_in_again() {
    let server = serve(&["-p", "1", "--signal-coalesce", "6"]);
    let raise = || eval(&server, "[uwsgi.signal(6)for(i)in(range(100))]");
    // the one worker is busy with the request while they are raised
    raise();
    wait_notes(&server, 1);
    raise();
    wait_notes(&server, 2);
    eval(&server, "uwsgi.signal_coalesce(6,0)");
    raise();
    wait_notes(&server, 102);
    eval(&server, "uwsgi.signal_coalesce(6)");
    raise();
    assert_eq!(wait_notes(&server, 103).len(), 103);
}

#[test]
fn a_handler_is_under_harakiri_and_shows_as_status() {
    let mut server = serve(&["-p", "2", "--harakiri", "1"]);
    server.wait_workers(2, &[]);
    eval(&server, "uwsgi.signal(5)");
    wait_notes(&server, 1);
    wait_for("worker 1 to be free for the question", || {
        (eval(&server, "[w['status']for(w)in(uwsgi.workers())]") == "[b'sig5', b'busy']").then_some(())
    });
    server.wait_log("HARAKIRI ON WORKER 1", 1);
    server.wait_log("Respawned rsgi worker 1", 1);
    eval(&server, "uwsgi.signal(6)");
    assert_eq!(wait_notes(&server, 2)[1], "6 in 1");
}

#[test]
fn a_packet_raises_one_and_waiting_sees_it() {
    let server = serve(&["-p", "2", "--socket", "127.0.0.1:0"]);
    let port = server.port_of_socket(1);
    let raise = |number: u8| {
        let mut stream = http::connect(port);
        stream.write_all(&[110, 0, 0, number]).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(raise(1), [255, 0, 0, 1]);
    wait_notes(&server, 1);
    let begun = server.dir().join("begun");
    let code = format!(
        "(open('{}','w'),uwsgi.signal_wait(3),uwsgi.signal_received())[1:]",
        begun.display()
    );
    let waited = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| eval(&server, &code));
        // one that is not there yet could take the packet's connection too, and serve itself last
        wait_for("the waiter to be at it", || begun.exists().then_some(()));
        wait_for("the waiter to have got it", || {
            raise(3);
            waiter.is_finished().then_some(())
        });
        waiter.join().unwrap()
    });
    assert_eq!(waited, "(b'', 3)");
}

#[test]
fn what_waits_at_a_reload_is_handled_by_those_who_leave() {
    let mut server = serve(&["-p", "1"]);
    let old = server.workers();
    eval(&server, "[uwsgi.signal(4)for(i)in(range(200))]");
    wait_notes(&server, 1);
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old[0].1]);
    assert_eq!(wait_notes(&server, 200).len(), 200);
}

#[test]
fn a_signal_wakes_workers_that_sleep() {
    let mut server = serve(&["-p", "2", "--idle", "1", "--timer", "1 3"]);
    server.wait_log("cheap mode enabled", 1);
    server.wait_log("a signal waits: leaving cheap mode", 1);
    wait_notes(&server, 1);
}

const C_PLUGIN: &str = r#"
#include <uwsgi.h>
static int handle(uint8_t signal, void *handler) {
    uwsgi_log("C handled %d: %s\n", signal, (char *) handler);
    return signal == 8 ? -1 : 0;
}
static void register_all(void) {
    if (uwsgi_register_signal(7, "worker1", "seven", 77)) uwsgi_log("refused\n");
    if (uwsgi_register_signal(8, "worker1", "eight", 77)) uwsgi_log("refused\n");
    if (!uwsgi_register_signal(9, "nobody", "nine", 77)) uwsgi_log("taken\n");
    uwsgi_log("why: %s\n", rsgi_signal_error());
    if (uwsgi_signal_add_rb_timer(7, 1, 1)) uwsgi_log("no timer\n");
}
static int serve(struct wsgi_request *req) {
    (void) req;
    return uwsgi_signal_send(-1, 8);
}
struct uwsgi_plugin signals_plugin = {
    .name = "signals", .modifier1 = 77, .request = serve, .signal_handler = handle, .init_apps = register_all,
};
"#;

#[test]
fn a_c_plugin_registers_raises_and_handles() {
    let setup = Setup::new();
    let plugin = rsgi_tests::build_plugin(setup.dir(), "signals.c", C_PLUGIN);
    let plugin = plugin.display().to_string();
    let mut server = setup
        .args([
            "--plugin",
            &plugin,
            "--http-socket",
            "127.0.0.1:0",
            "--http-socket-modifier1",
            "77",
            "-p",
            "2",
        ])
        .start();
    server.wait_log("C handled 7: seven", 1);
    server.get("/");
    server.wait_log("C handled 8: eight", 1);
    server.wait_log("error managing signal 8 on worker 1", 1);
    let log = server.log();
    assert!(
        !log.contains("refused") && !log.contains("taken") && !log.contains("no timer"),
        "{log}"
    );
    assert!(log.contains("why: \"nobody\" is no signal target"), "{log}");
}
