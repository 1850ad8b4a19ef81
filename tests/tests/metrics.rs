//! Metrics: those of the operator, of plugins and of the server, in statistics, files and log lines.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, build_plugin, http, wait_for};

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

/// What a server on a port answers to a client that asks for a path.
fn health(server: &Server, path: &str) -> String {
    let log = server.log();
    let address = log.split("health endpoint on ").nth(1).expect("a health endpoint");
    let address = address.split_whitespace().next().expect("an address");
    let port = address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
    http::get(port, path).text()
}

#[test]
fn workers_change_metrics_together_and_a_reload_keeps_them() {
    let mut server = serve(&[
        "--metric",
        "sold",
        "--metric",
        "name=held,type=gauge,initial_value=-2,oid=1.2",
        "-p",
        "2",
        "--health",
        "127.0.0.1:0",
    ]);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                assert_eq!(
                    eval(&server, "[uwsgi.metric_inc('sold') for _ in range(1000)] and 1"),
                    "1"
                )
            });
        }
    });
    assert_eq!(
        eval(&server, "(uwsgi.metric_get('sold'), uwsgi.metric_get('held'))"),
        "(4000, -2)"
    );
    assert_eq!(
        eval(
            &server,
            "(uwsgi.metric_div('held', 0), uwsgi.metric_inc('nope'), uwsgi.metric_get('nope'))"
        ),
        "(None, None, 0)"
    );
    assert_eq!(eval(&server, "uwsgi.metric_get('worker.0.requests') > 3"), "True");
    assert_eq!(eval(&server, "uwsgi.metric_set('worker.0.requests', 1)"), "None");
    let page = health(&server, "/metrics");
    assert!(
        page.contains("uwsgi_metric{name=\"sold\"} 4000\nuwsgi_metric{name=\"held\"} -2\n"),
        "{page}"
    );
    let before = server.workers();
    server.signal(libc::SIGHUP);
    wait_for("a worker of the new image", || {
        let pid: i32 = eval(&server, "os.getpid()").parse().ok()?;
        before.iter().all(|(_, old)| *old != pid).then_some(())
    });
    assert_eq!(
        eval(&server, "(uwsgi.metric_get('sold'), uwsgi.metric_get('held'))"),
        "(4000, -2)"
    );
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn files_follow_the_numbers_and_restore_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let args = ["--metric", "sold", "--metrics-dir", &path, "--metrics-dir-restore"];
    let first = serve(&args);
    assert_eq!(eval(&first, "uwsgi.metric_set('sold', 12345)"), "True");
    wait_for("the file of sold", || (read("sold") == "12345\n").then_some(()));
    assert_eq!(eval(&first, "uwsgi.metric_set('sold', -7)"), "True");
    wait_for("the file of sold", || (read("sold") == "-7\n").then_some(()));
    wait_for("that of the requests", || {
        (read("worker.0.requests").trim().parse::<i64>().ok()? >= 2).then_some(())
    });
    drop(first);
    let again = serve(&args);
    assert_eq!(eval(&again, "uwsgi.metric_get('sold')"), "-7");
    let ended = Setup::new()
        .wsgi(EVAL_APP)
        .args(["--metrics-dir", "/nowhere/at/all"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("metrics-dir: /nowhere/at/all is no directory"),
        "{}",
        ended.output
    );
}

#[test]
fn plugins_make_metrics_and_log_lines_tell_them() {
    let source = r#"
#include <uwsgi.h>
static struct uwsgi_metric *m;
static int64_t cycles = 70;
static void cycle() { if (cycles < 72) cycles++; }
static int init() {
    m = uwsgi_register_metric("mine", "7.7", UWSGI_METRIC_GAUGE, NULL, NULL, 0, NULL);
    *m->value = 40;
    uwsgi_register_metric("followed", NULL, UWSGI_METRIC_GAUGE, "ptr", &cycles, 1, NULL);
    return uwsgi_register_metric("mine", NULL, 0, NULL, NULL, 0, NULL) != NULL;
}
static void fork_() {
    struct uwsgi_metric *um; int n = 0;
    uwsgi_rlock(uwsgi.metrics_lock);
    uwsgi_foreach(um, uwsgi.metrics) n++;
    uwsgi_rwunlock(uwsgi.metrics_lock);
    uwsgi_metric_inc("mine", NULL, 2);
    uwsgi_log("METRIC %d %d %d\n", n > 3 && n == (int) uwsgi.metrics_cnt, (int) uwsgi_metric_get(NULL, "7.7"), (int) *m->value);
}
struct uwsgi_plugin measurer_plugin = { .name = "measurer", .init = init, .post_fork = fork_, .master_cycle = cycle };
"#;
    let setup = Setup::new().wsgi(EVAL_APP);
    let plugin = build_plugin(setup.dir(), "measurer.c", source).display().to_string();
    let mut server = setup
        .args([
            "--plugin",
            &plugin,
            "--metric",
            "sold",
            "-p",
            "1",
            "--log-format",
            "LINE %(metric.mine) %(metric.no)",
        ])
        .start();
    server.wait_log("METRIC 1 42 42", 1);
    assert!(server.log().contains("there is a metric \"mine\" already"));
    assert_eq!(eval(&server, "uwsgi.metric_get('mine')"), "42");
    server.wait_log("LINE 42 -", 1);
    wait_for("the followed number", || {
        (eval(&server, "uwsgi.metric_get('followed')") == "72").then_some(())
    });
}
