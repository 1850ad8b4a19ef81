//! The queue of applications: order, reload, a file, and killed processes.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, send, wait_for};

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

#[test]
fn messages_go_in_and_out_at_both_ends() {
    let server = serve(&["--queue", "4", "--queue-blocksize", "4096"]);
    assert_eq!(eval(&server, "uwsgi.queue_size"), "4");
    assert_eq!(
        eval(&server, "[uwsgi.queue_push(m) for m in ('a', b'b', 'c')]"),
        "[True, True, True]"
    );
    assert_eq!(
        eval(&server, "(uwsgi.queue_last(), uwsgi.queue_last(2))"),
        "(b'c', [b'c', b'b'])"
    );
    assert_eq!(eval(&server, "(uwsgi.queue_slot(), uwsgi.queue_pull_slot())"), "(3, 0)");
    assert_eq!(
        eval(
            &server,
            "(uwsgi.queue_pull(), uwsgi.queue_pop(), uwsgi.queue_pop(), uwsgi.queue_pop())"
        ),
        "(b'a', b'c', b'b', None)"
    );
    assert_eq!(
        eval(&server, "[uwsgi.queue_push('x' * n) for n in (0, 4080, 4081)]"),
        "[None, True, None]"
    );
    assert_eq!(
        eval(
            &server,
            "(uwsgi.queue_set(3, 's'), uwsgi.queue_set(4, 's'), uwsgi.queue_get(3), uwsgi.queue_get(-1))"
        ),
        "(True, None, b's', None)"
    );
    let without = serve(&[]);
    assert!(eval(&without, "uwsgi.queue_push('a')").starts_with("AttributeError"));
}

#[test]
fn what_waits_outlives_a_reload_and_killed_workers() {
    let server = serve(&["--queue", "100", "-p", "2"]);
    let push = "def work():\n    while True: uwsgi.queue_push(b'm' * 3000)\n\
        t = threading.Thread(target=work, daemon=True); t.start(); r = os.getpid()";
    for _ in 0..5 {
        let pid: i32 = eval(&server, push).parse().expect("a pid");
        std::thread::sleep(std::time::Duration::from_millis(10));
        send(pid, libc::SIGKILL);
        wait_for("a worker that answers", || {
            (eval(&server, "os.getpid()") != pid.to_string()).then_some(())
        });
        let whole = eval(&server, "all(m in (None, b'm' * 3000) for m in uwsgi.queue_last(100))");
        assert_eq!(whole, "True");
    }
    assert_eq!(eval(&server, "uwsgi.queue_push('kept')"), "True");
    let before = server.workers();
    server.signal(libc::SIGHUP);
    wait_for("a worker of the new image", || {
        let pid: i32 = eval(&server, "os.getpid()").parse().ok()?;
        before.iter().all(|(_, old)| *old != pid).then_some(())
    });
    assert_eq!(eval(&server, "uwsgi.queue_pop()"), "b'kept'");
}

#[test]
fn a_file_keeps_the_queue() {
    let file = std::env::temp_dir().join(format!("rsgi-queue-{}", std::process::id()));
    let path = file.display().to_string();
    let first = serve(&["--queue", "10", "--queue-store", &path]);
    assert_eq!(
        eval(&first, "[uwsgi.queue_push(m) for m in 'abc'] and uwsgi.queue_pull()"),
        "b'a'"
    );
    for (_, pid) in first.workers() {
        send(pid, libc::SIGKILL);
    }
    send(first.pid(), libc::SIGKILL);
    drop(first);
    let again = serve(&["--queue", "10", "--queue-store", &path]);
    assert_eq!(
        eval(&again, "(uwsgi.queue_pull(), uwsgi.queue_pull(), uwsgi.queue_pull())"),
        "(b'b', b'c', None)"
    );
    drop(again);
    let ended = Setup::new()
        .wsgi(EVAL_APP)
        .args(["--queue", "11", "--queue-store", &path])
        .run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("queue-store: cannot use"), "{}", ended.output);
    let _ = std::fs::remove_file(&file);
}
