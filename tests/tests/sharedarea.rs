//! Shared areas: numbers, views, locks, and what outlives what.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, wait_for};

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

#[test]
fn numbers_and_bytes_lie_where_they_were_put() {
    let server = serve(&["--sharedarea", "1", "--sharedarea", "size=10"]);
    assert_eq!(
        eval(
            &server,
            "uwsgi.sharedarea_write(0, 10, b'abc'); r = uwsgi.sharedarea_read(0, 9, 5)"
        ),
        "b'\\x00abc\\x00'"
    );
    assert_eq!(
        eval(
            &server,
            "(len(uwsgi.sharedarea_read(0, 0)), len(uwsgi.sharedarea_read(1, 3)))"
        ),
        "(4096, 7)"
    );
    assert_eq!(
        eval(
            &server,
            "uwsgi.sharedarea_write8(1, 9, 255); r = uwsgi.sharedarea_read8(1, 9)"
        ),
        "255"
    );
    assert_eq!(
        eval(
            &server,
            "uwsgi.sharedarea_write32(1, 1, 2**32 - 5); r = uwsgi.sharedarea_read32(1, 1)"
        ),
        "-5"
    );
    assert!(eval(&server, "uwsgi.sharedarea_write8(1, 0, 256)").starts_with("OverflowError"));
    for call in [
        "read32(1, 7)",
        "write64(1, 3, 1)",
        "read8(2, 0)",
        "read8(-1, 0)",
        "read(1, 0, 11)",
        "write(1, -1, b'x')",
        "inc32(1, 7)",
        "memoryview(2)",
    ] {
        let said = eval(&server, &format!("uwsgi.sharedarea_{call}"));
        assert!(
            said.starts_with("ValueError: error calling uwsgi_sharedarea_"),
            "{call}: {said}"
        );
    }
    let through_view =
        "v = uwsgi.sharedarea_memoryview(1); v[0:3] = b'xyz'; r = (len(v), uwsgi.sharedarea_read(1, 0, 3))";
    assert_eq!(eval(&server, through_view), "(10, b'xyz')");
}

#[test]
fn changes_of_many_workers_are_all_counted_and_outlive_a_reload() {
    let server = serve(&["--sharedarea", "1", "-p", "2", "--threads", "2"]);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                assert_eq!(
                    eval(&server, "[uwsgi.sharedarea_inc64(0, 8) for _ in range(5000)] and 1"),
                    "1"
                )
            });
        }
    });
    assert_eq!(eval(&server, "uwsgi.sharedarea_read64(0, 8)"), "20000");
    let before = server.workers();
    server.signal(libc::SIGHUP);
    wait_for("a worker of the new image", || {
        let pid: i32 = eval(&server, "os.getpid()").parse().ok()?;
        before.iter().all(|(_, old)| *old != pid).then_some(())
    });
    assert_eq!(eval(&server, "uwsgi.sharedarea_read64(0, 8)"), "20000");
}

#[test]
fn the_lock_of_an_area_lets_its_holder_work() {
    let server = serve(&["--sharedarea", "1", "-p", "1"]);
    let held = "uwsgi.sharedarea_wlock(0); uwsgi.sharedarea_inc32(0, 0); r = uwsgi.sharedarea_read32(0, 0)";
    assert_eq!(eval(&server, held), "1");
    let again = eval(&server, "uwsgi.sharedarea_rlock(0)");
    assert!(again.starts_with("RuntimeError"), "{again}");
    assert_eq!(
        eval(
            &server,
            "uwsgi.sharedarea_unlock(0); uwsgi.sharedarea_rlock(0); uwsgi.sharedarea_unlock(0); r = 2"
        ),
        "2"
    );
}

#[test]
fn an_area_that_is_none_ends_the_start() {
    for value in ["0", "size=0", "file=/x", "many"] {
        let ended = Setup::new().wsgi(EVAL_APP).args(["--sharedarea", value]).run();
        assert_eq!(ended.code, 1, "{value}: {}", ended.output);
        assert!(ended.output.contains("sharedarea"), "{value}: {}", ended.output);
    }
}
