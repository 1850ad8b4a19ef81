//! `uwsgi.lock()` between workers: what holds when holders die, and over a reload; and the locks of C plugins.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, build_plugin, send, wait_for};

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn a_killed_holder_hands_its_lock_to_the_one_that_waits() {
    let server = serve(&["-p", "2"]);
    for _ in 0..5 {
        let holder = number(&eval(&server, "uwsgi.lock(); r = os.getpid()"));
        // requests may come to the holder, which is told so, and to the other, which waits
        std::thread::scope(|s| {
            let waiting = s.spawn(|| {
                wait_for("the other worker's lock", || {
                    let got = eval(&server, "uwsgi.lock(); uwsgi.unlock(); r = 'taken'");
                    (got == "'taken'").then_some(())
                });
            });
            std::thread::sleep(std::time::Duration::from_millis(20));
            send(holder, libc::SIGKILL);
            waiting.join().expect("the lock was taken");
        });
    }
    assert_eq!(eval(&server, "uwsgi.is_locked()"), "False");
}

#[test]
fn asking_twice_is_told_and_not_waited_for() {
    let server = serve(&["-p", "1", "--locks", "1"]);
    assert_eq!(eval(&server, "uwsgi.lock(1)"), "None");
    let second = eval(&server, "uwsgi.lock(1)");
    assert!(
        second.starts_with("RuntimeError: this thread holds the lock"),
        "{second}"
    );
    assert_eq!(
        eval(&server, "(uwsgi.is_locked(), uwsgi.is_locked(1))"),
        "(False, True)"
    );
    assert_eq!(eval(&server, "uwsgi.unlock(1)"), "None");
    assert_eq!(eval(&server, "uwsgi.is_locked(1)"), "False");
    let wrong = eval(&server, "uwsgi.lock(2)");
    assert!(wrong.starts_with("ValueError: Invalid lock number"), "{wrong}");
}

#[test]
fn old_and_new_workers_exclude_each_other() {
    let mut server = serve(&["-p", "1", "--threads", "2"]);
    let held = "uwsgi.lock(); note('held', os.getpid())\nwhile not os.path.exists(DIR + '/go'): time.sleep(0.01)\n\
                note('given'); uwsgi.unlock(); r = 1";
    std::thread::scope(|s| {
        let port = server.port();
        let holder = s.spawn(move || rsgi_tests::http::post(port, "/", held.as_bytes()).text());
        let notes = || std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        wait_for("the holder", || notes().contains("held").then_some(()));
        let old = server.workers();
        server.signal(libc::SIGHUP);
        wait_for("a new worker that answers", || {
            let pid = number(&eval(&server, "os.getpid()"));
            old.iter().all(|(_, o)| *o != pid).then_some(())
        });
        assert_eq!(eval(&server, "uwsgi.is_locked()"), "True");
        std::fs::write(server.dir().join("go"), "").unwrap();
        let after = eval(
            &server,
            "uwsgi.lock(); uwsgi.unlock(); r = open(DIR + '/notes').read().count('given')",
        );
        assert_eq!(after, "1");
        assert_eq!(holder.join().unwrap(), "1");
    });
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn c_plugins_make_locks_and_see_their_holders() {
    let source = r#"
#include <uwsgi.h>
static struct uwsgi_lock_item *l;
static int init() { l = uwsgi_rwlock_init("mine"); return 0; }
static void fork_() {
    uwsgi_rlock(l); uwsgi_rwunlock(l);
    uwsgi_wlock(l);
    int mine = uwsgi_lock_check(l) == getpid();
    uwsgi_wlock(l); /* no deadlock */
    uwsgi_rwunlock(l);
    uwsgi_lock(uwsgi.user_lock[1]); uwsgi_unlock(uwsgi.user_lock[1]);
    uwsgi_log("LOCKS %d %d %d %s\n", mine, uwsgi_lock_check(l), uwsgi.locks, uwsgi.registered_locks->id);
}
struct uwsgi_plugin locker_plugin = { .name = "locker", .init = init, .post_fork = fork_ };
"#;
    let setup = Setup::new().wsgi(EVAL_APP);
    let plugin = build_plugin(setup.dir(), "locker.c", source);
    let plugin = plugin.display().to_string();
    let mut server = setup.args(["--plugin", &plugin, "--locks", "1", "-p", "1"]).start();
    server.wait_log("LOCKS 1 0 1 mine", 1);
}
