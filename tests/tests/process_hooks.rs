//! The hooks in the life of the server and its workers: which, where, in which order; C plugins here, Python's in
//! `gunicorn.rs`.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_plugin, wait_for};

/// A server of the plugin that has every hook.
fn every_hook() -> Setup {
    let setup = Setup::new();
    build_plugin(setup.dir(), "every_hook.c", include_str!("../c/every_hook.c"));
    setup.args([
        "--plugin",
        "./every_hook_plugin.so",
        "--http-socket",
        "127.0.0.1:0",
        "--http-socket-modifier1",
        "201",
    ])
}

fn hooks(log: &str) -> Vec<&str> {
    log.lines().filter_map(|l| l.strip_prefix("HOOK ")).collect()
}

/// Asserts that the names stand in this order, each behind the one before.
fn order(seen: &[&str], names: &[&str]) {
    let mut rest = seen.iter();
    for name in names {
        assert!(
            rest.any(|s| s == name),
            "{name} is missing behind the one before, in {seen:#?}"
        );
    }
}

#[test]
fn the_life_of_a_server_in_its_order() {
    let mut server = every_hook().start();
    server.wait_log("HOOK when_ready", 1);
    assert_eq!(get(server.port(), "/x").text(), "hooked");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    let seen = hooks(&log);
    order(
        &seen,
        &[
            "on_load wid=0",
            "configure wid=0",
            "init wid=0",
            "postinit_apps wid=0",
            "on_starting wid=0",
            "nworkers_changed 1 -1",
            "pre_fork 1",
            "pre_uwsgi_fork wid=0",
            "post_fork wid=1",
            "when_ready wid=0",
            "pre_request /x",
            "post_request 200",
            "after_request 200 6",
            "worker_exit 1",
            "atexit wid=1",
            "child_exit 1 signal=0 code=0",
            "master_cleanup wid=0",
            "on_exit wid=0",
        ],
    );
    for absent in ["on_reload", "pre_exec", "worker_int", "worker_abort", "dump_stacks"] {
        assert!(!seen.iter().any(|s| s.starts_with(absent)), "{absent} in {seen:#?}");
    }
    for once in [
        "on_starting wid=0",
        "when_ready wid=0",
        "on_exit wid=0",
        "worker_exit 1",
    ] {
        assert_eq!(seen.iter().filter(|s| **s == once).count(), 1, "{once}");
    }
}

#[test]
fn a_reload_has_its_own_hooks() {
    let mut server = every_hook().start();
    server.wait_log("HOOK when_ready", 1);
    server.signal(libc::SIGHUP);
    server.wait_log("HOOK when_ready", 2);
    wait_for("the old worker's end", || {
        server.log().contains("HOOK child_exit 1").then_some(())
    });
    let log = server.log();
    let seen = hooks(&log);
    order(
        &seen,
        &[
            "when_ready wid=0",
            "pre_exec wid=0",
            "on_reload wid=0",
            "pre_fork 1",
            "when_ready wid=0",
        ],
    );
    assert_eq!(seen.iter().filter(|s| s.starts_with("on_starting")).count(), 1);
    assert!(!seen.contains(&"on_exit wid=0"), "{seen:#?}");
}

#[test]
fn a_stop_at_once_calls_worker_int() {
    let mut server = every_hook().start();
    server.wait_log("HOOK when_ready", 1);
    server.signal(libc::SIGINT);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    order(
        &hooks(&log),
        &["worker_int wid=1", "worker_exit 1", "atexit wid=1", "on_exit wid=0"],
    );
}

#[test]
fn an_abort_is_the_plugins_when_it_wants_it() {
    let mut server = every_hook().env("ABORT", "1").start();
    server.wait_log("HOOK when_ready", 1);
    rsgi_tests::send(server.workers()[0].1, libc::SIGABRT);
    server.wait_log("Respawned rsgi worker 1", 1);
    let log = server.log();
    order(
        &hooks(&log),
        &[
            "dump_stacks",
            "worker_abort wid=1",
            "worker_exit 1",
            "child_exit 1 signal=0 code=1",
        ],
    );
}

#[test]
fn an_abort_that_nobody_wants_is_the_systems() {
    let mut server = every_hook().start();
    server.wait_log("HOOK when_ready", 1);
    rsgi_tests::send(server.workers()[0].1, libc::SIGABRT);
    server.wait_log("Respawned rsgi worker 1", 1);
    let log = server.log();
    order(&hooks(&log), &["dump_stacks", "child_exit 1 signal=6 code=-1"]);
}

#[test]
fn the_number_of_workers_is_told_when_it_changes() {
    let mut server = every_hook().args(["-p", "3", "--cheaper", "1"]).start_unready();
    server.wait_log("HOOK when_ready", 1);
    server.wait_log("HOOK nworkers_changed 1 -1", 1);
    server.signal(libc::SIGTTIN);
    server.wait_log("HOOK nworkers_changed 2 1", 1);
    server.signal(libc::SIGTTOU);
    server.wait_log("HOOK nworkers_changed 1 2", 1);
}

#[test]
fn a_refused_fork_ends_the_server() {
    let ended = every_hook().env("REFUSE_FORK", "1").run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended.output.contains("the hook pre_fork of plugin every_hook failed"),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("HOOK post_fork"), "{}", ended.output);
}

#[test]
fn configure_gives_defaults_that_the_user_overrides() {
    const SOURCE: &str = r#"
#include <uwsgi.h>
static void offer(const char *name, const char *value) {
    uwsgi_log("OFFER %s %d\n", name, rsgi_default_option(name, value, NULL, "offer.conf:7"));
}
static int configure(void) {
    offer("processes", "2");
    offer("threads", "3");
    offer("no-such-thing", "1");
    offer("harakiri", getenv("BAD") ? "soon" : "9");
    return 0;
}
static int init(void) { offer("threads", "8"); return 0; }
static void post_init(void) {
    uwsgi_log("WORKERS %d THREADS %d HARAKIRI %d\n", uwsgi.numproc, uwsgi.threads, uwsgi.harakiri_options.workers);
}
struct uwsgi_plugin offer_plugin = { .name = "offer", .init = init, .post_init = post_init, .configure = configure };
"#;
    let setup = || {
        let setup = Setup::new();
        build_plugin(setup.dir(), "offer.c", SOURCE);
        setup.args([
            "--plugin",
            "./offer_plugin.so",
            "--workers",
            "4",
            "--http-socket",
            "127.0.0.1:0",
            "--no-server",
        ])
    };
    let ended = setup().run();
    for line in [
        "OFFER processes 0\n",
        "OFFER threads 1\n",
        "OFFER no-such-thing -1\n",
        "OFFER threads -1\n",
        "WORKERS 4 THREADS 3 HARAKIRI 9\n",
    ] {
        assert!(ended.output.contains(line), "{line:?} in {}", ended.output);
    }
    let ended = setup().env("BAD", "1").run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("offer.conf:7: harakiri: "), "{}", ended.output);
}
