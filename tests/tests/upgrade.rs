//! Hot upgrade of the binary, the way back from one that fails, and a new image that cannot serve.

use rsgi_tests::load::Load;
use rsgi_tests::{Server, Setup, build_dir, is_alive, program, wait_for};
use std::path::Path;
use std::process::Command;

const APP: &str = "
import os
# in a worker of the binary in @DIR@/bad
if os.path.exists('@DIR@/bad') and os.path.samefile(f'/proc/{os.getppid()}/exe', '@DIR@/bad'):
    os._exit(9)
def application(env, start_response):
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";

/// A copy of its own: not by this process, whose other threads may fork while the file is open for writing.
fn copy_binary(to: &Path) {
    let copied = Command::new("cp").arg(program("rsgi")).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A server of a binary of its own, `@DIR@/rsgi`.
fn serve(args: &[&str]) -> Server {
    let setup = Setup::new();
    let own = setup.dir().join("rsgi");
    copy_binary(&own);
    let plugins = build_dir().display().to_string();
    setup
        .program(own)
        .args(["--plugins-dir", &plugins, "--disable-logging"])
        .wsgi(APP)
        .args(args.iter().copied())
        .start()
}

fn pids(server: &Server) -> Vec<i32> {
    server.workers().iter().map(|(_, pid)| *pid).collect()
}

/// Puts a new file in the place of the server's binary, as a package manager does.
fn install(server: &Server, new: &Path) {
    std::fs::rename(new, server.dir().join("rsgi")).unwrap();
}

fn wait_gone(pids: &[i32]) {
    wait_for("the old workers to leave", || {
        pids.iter().all(|p| !is_alive(*p)).then_some(())
    });
}

#[test]
fn usr2_and_the_fifo_hand_over_to_a_new_binary_and_lose_nothing() {
    for fifo in [false, true] {
        let mut server = serve(&["-p", "2", "--master-fifo", "@DIR@/fifo"]);
        let old = pids(&server);
        let new = server.dir().join("rsgi.new");
        copy_binary(&new);
        install(&server, &new);
        let load = Load::start(server.port(), "/", 4, true);
        load.wait_answers(30);
        if fifo {
            std::fs::write(server.dir().join("fifo"), "u").unwrap();
        } else {
            server.signal(libc::SIGUSR2);
        }
        server.wait_log("it took over from rsgi", 1);
        wait_gone(&old);
        load.wait_answers(30);
        let seen = load.finish();
        assert_eq!((seen.failures, seen.refused), (Vec::<String>::new(), 0), "fifo={fifo}");
        let running = std::fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
        assert_eq!(running, server.dir().join("rsgi"));
    }
}

#[test]
fn a_file_that_is_no_server_is_refused() {
    let mut server = serve(&["-p", "1"]);
    let old = pids(&server);
    let new = server.dir().join("rsgi.new");
    std::fs::write(&new, "#!/bin/sh\necho this is not it >&2\nexit 3\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&new, mode).unwrap();
    install(&server, &new);
    server.signal(libc::SIGUSR2);
    server.wait_log("reload refused: the trial failed (exit code 3)", 1);
    assert!(server.log().contains("this is not it"));
    assert_eq!(pids(&server), old);
    assert_eq!(server.get("/").status, 200);
}

/// `@DIR@/bad` is the same file as the server's binary from now on.
fn install_bad(server: &Server) {
    let (new, bad) = (server.dir().join("rsgi.new"), server.dir().join("bad"));
    copy_binary(&new);
    std::fs::hard_link(&new, &bad).unwrap();
    install(server, &new);
}

#[test]
fn a_binary_whose_start_fails_is_rolled_back() {
    // what a trial does not see: it runs no hooks
    let mut server = serve(&["-p", "1", "--exec-asap", "test ! /proc/$PPID/exe -ef @DIR@/bad"]);
    let old = pids(&server);
    let load = Load::start(server.port(), "/", 2, true);
    install_bad(&server);
    server.signal(libc::SIGUSR2);
    server.wait_log("rolling back to the one before", 1);
    server.wait_workers(1, &old);
    wait_gone(&old);
    load.wait_answers(30);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::<String>::new(), 0));
}

#[test]
fn a_binary_whose_workers_cannot_start_is_rolled_back() {
    let mut server = serve(&["-p", "2", "--lazy-apps"]);
    let old = pids(&server);
    let load = Load::start(server.port(), "/", 2, true);
    install_bad(&server);
    server.signal(libc::SIGUSR2);
    server.wait_log("cannot start; rolling back to rsgi", 1);
    wait_gone(&old);
    load.wait_answers(30);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::<String>::new(), 0));
}

fn serve_until_forbidden() -> Server {
    serve(&[
        "-p",
        "2",
        "--http",
        "127.0.0.1:0",
        "--log-master",
        "--exec-asap",
        "test ! -e @DIR@/no",
    ])
}

#[test]
fn an_image_that_cannot_start_leaves_the_workers_serving_until_one_can() {
    let mut server = serve(&["-p", "2", "--exec-asap", "test ! -e @DIR@/no"]);
    let old = pids(&server);
    let load = Load::start(server.port(), "/", 2, true);
    std::fs::write(server.dir().join("no"), "").unwrap();
    server.signal(libc::SIGHUP);
    server.wait_log("the new image cannot serve", 1);
    load.wait_answers(30);
    assert!(old.iter().all(|p| is_alive(*p)));
    std::fs::remove_file(server.dir().join("no")).unwrap();
    server.signal(libc::SIGHUP);
    server.wait_workers(2, &old);
    wait_gone(&old);
    load.wait_answers(30);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::<String>::new(), 0));
}

#[test]
fn a_server_whose_new_image_failed_still_stops_when_told() {
    for (signal, what) in [(libc::SIGTERM, "gracefully"), (libc::SIGINT, "fast")] {
        let mut server = serve_until_forbidden();
        let old = pids(&server);
        std::fs::write(server.dir().join("no"), "").unwrap();
        server.signal(libc::SIGHUP);
        server.wait_log("the new image cannot serve", 1);
        assert_eq!(server.get("/").status, 200);
        server.signal(signal);
        assert_eq!(server.wait_exit().code(), Some(0), "{what}");
        assert!(old.iter().all(|p| !is_alive(*p)));
    }
}

#[test]
fn the_strategy_of_a_reload_can_be_chosen() {
    // as uWSGI does it: nobody serves for a while, but nobody is turned away either
    let mut server = serve(&["-p", "2", "--reload-strategy", "stop-start"]);
    let old = pids(&server);
    let load = Load::start(server.port(), "/", 2, false);
    server.signal(libc::SIGHUP);
    server.wait_log("...gracefully killing workers...", 1);
    server.wait_log("binary reloading rsgi...", 1);
    assert!(old.iter().all(|p| !is_alive(*p)), "an old worker is left at the exec");
    server.wait_workers(2, &old);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::<String>::new(), 0));

    let mut server = serve(&["-p", "2", "--lazy-apps", "--reload-strategy", "chain"]);
    let old = pids(&server);
    server.signal(libc::SIGHUP);
    server.wait_log("chain reloading complete", 1);
    server.wait_workers(2, &old);
    assert!(!server.log().contains("binary reloading"));
}
