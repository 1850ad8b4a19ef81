//! Operators' hooks: the order of the phases, who runs what how often, and what wrong ones say.

use rsgi_tests::{Server, Setup, build_plugin, http, is_alive, send, wait_for};

const APP: &str = "
import os
def application(env, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

fn read(server: &Server, name: &str) -> String {
    std::fs::read_to_string(server.dir().join(name)).unwrap_or_default()
}

fn wait_text(server: &Server, name: &str, done: impl Fn(&str) -> bool) -> String {
    wait_for(&format!("{name} to be as expected"), || {
        Some(read(server, name)).filter(|t| done(t))
    })
}

#[test]
fn phases_come_in_their_order_and_once() {
    let phases = [
        "asap",
        "pre-jail",
        "post-jail",
        "in-jail",
        "as-root",
        "as-user",
        "pre-app",
        "post-app",
        "master-start",
        "post-fork",
        "accepting",
        "accepting-once",
        "accepting1",
        "accepting1-once",
    ];
    let mut setup = Setup::new().wsgi(APP).args(["-p", "1"]);
    for phase in phases {
        setup = setup.args([
            format!("--hook-{phase}").as_str(),
            format!("appendn:@DIR@/order {phase}").as_str(),
        ]);
    }
    let mut server = setup
        .args(["--exec-as-user", "echo exec >> @DIR@/order"])
        .args([
            "--hook-as-user-atexit",
            "appendn:@DIR@/bye hook",
            "--exec-as-user-atexit",
            "echo exec >> @DIR@/bye",
        ])
        .start();
    let order = wait_text(&server, "order", |t| t.contains("accepting1-once"));
    // nobody makes a jail, so there is nothing after one
    let expected = phases
        .iter()
        .filter(|p| **p != "post-jail")
        .flat_map(|p| if *p == "as-user" { vec![*p, "exec"] } else { vec![*p] });
    assert_eq!(order.lines().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // the worker's successor does again what is not for once
    send(server.workers()[0].1, libc::SIGKILL);
    let order = wait_text(&server, "order", |t| t.matches("accepting1\n").count() == 2);
    assert_eq!(order.matches("once").count(), 2);
    assert_eq!(order.matches("post-fork").count(), 2);
    assert!(!server.dir().join("bye").exists());
    server.signal(libc::SIGTERM);
    server.wait_exit();
    assert_eq!(read(&server, "bye"), "hook\nexec\n");
}

#[test]
fn a_reload_runs_the_phases_of_a_start_once_more_and_its_trial_none() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args([
            "-p",
            "1",
            "--hook-as-user",
            "appendn:@DIR@/order user",
            "--exec-pre-app",
            "echo app >> @DIR@/order",
        ])
        .start();
    let old = server.workers();
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old[0].1]);
    assert_eq!(read(&server, "order"), "user\napp\nuser\napp\n");
}

#[test]
fn a_jail_has_its_own_phase() {
    let source = "#include <uwsgi.h>\n\
        static void jail(int (*start)(void *), char **argv) { (void) argv; start(NULL); }\n\
        struct uwsgi_plugin cage_plugin = { .name = \"cage\", .jail = jail };\n";
    let setup = Setup::new().wsgi(APP);
    let plugin = build_plugin(setup.dir(), "cage.c", source);
    let server = setup
        .args([
            "--plugin",
            plugin.to_str().unwrap(),
            "--hook-pre-jail",
            "appendn:@DIR@/order pre",
        ])
        .args([
            "--hook-in-jail",
            "appendn:@DIR@/order in",
            "--hook-post-jail",
            "appendn:@DIR@/order post",
        ])
        .start();
    assert_eq!(read(&server, "order"), "pre\npost\nin\n");
}

#[test]
fn signals_of_the_master_get_other_meanings() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--hook-master-start", "unix_signal:2 grace_them_all"])
        .args(["--hook-master-start", "unix_signal:12 gracefully_kill_them_all"])
        .start();
    let old = server.workers();
    server.signal(libc::SIGINT);
    server.wait_workers(1, &[old[0].1]);
    server.signal(libc::SIGUSR2);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(server.log().contains("graceful shutdown triggered"));
}

#[test]
fn functions_of_plugins_are_called_in_every_form() {
    let source = "#include <uwsgi.h>\n\
        void said(char *what) { uwsgi_log(\"SAID %s\\n\", what); }\n\
        void counted(int n) { uwsgi_log(\"COUNTED %d\\n\", n); }\n\
        int judged(char *what) { return strcmp(what, \"good\"); }\n\
        void on_signal(int n) { uwsgi_log(\"GOT %d\\n\", n); }\n\
        struct uwsgi_plugin calls_plugin = { .name = \"calls\" };\n";
    let source = format!("#include <string.h>\n{source}");
    let setup = Setup::new().wsgi(APP);
    let plugin = build_plugin(setup.dir(), "calls.c", &source);
    let plugin = plugin.to_str().unwrap();
    let mut server = setup
        .args([
            "--plugin",
            plugin,
            "--hook-as-user",
            "call:said by hook",
            "--call-as-user",
            "said by call",
        ])
        .args([
            "--hook-as-user",
            "callint:counted 7",
            "--hook-as-user",
            "callret:judged good",
        ])
        .args(["--hook-master-start", "unix_signal:28 on_signal"])
        .start();
    for line in ["SAID by hook", "SAID by call", "COUNTED 7"] {
        server.wait_log(line, 1);
    }
    server.signal(libc::SIGWINCH);
    server.wait_log("GOT 28", 1);
    let ended = Setup::new()
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--plugin",
            plugin,
            "--hook-as-user",
            "callret:judged bad",
        ])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("hook callret:judged bad: judged returned"),
        "{}",
        ended.output
    );
}

#[test]
fn plugins_bring_actions_of_their_own() {
    let source = "#include <uwsgi.h>\n\
        static int say(char *what) { uwsgi_log(\"SAY %s\\n\", what); return what[0] == '!'; }\n\
        static void on_load(void) { uwsgi_register_hook(\"say\", say); }\n\
        static int init(void) { uwsgi_register_hook(\"say-later\", say); return 0; }\n\
        struct uwsgi_plugin brings_plugin = { .name = \"brings\", .on_load = on_load, .init = init };\n";
    let setup = Setup::new().wsgi(APP);
    let plugin = build_plugin(setup.dir(), "brings.c", source);
    let plugin = plugin.to_str().unwrap();
    let mut server = setup
        .args([
            "--plugin",
            plugin,
            "--hook-asap",
            "say:at once",
            "--hook-post-fork",
            "say-later:in a worker",
        ])
        .start();
    server.wait_log("SAY at once\n", 1);
    server.wait_log("SAY in a worker\n", 1);
    let ended = Setup::new()
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--plugin",
            plugin,
            "--hook-as-user",
            "say:!",
        ])
        .run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended.output.contains("hook say:!: the plugin's action returned 1"),
        "{}",
        ended.output
    );
}

#[test]
fn wrong_actions_end_the_start_with_their_place_whenever_their_moment_would_come() {
    for (line, expected) in [
        (
            "hook-asap = frobnicate:x",
            "h.ini:2: hook-asap: hook action not found: frobnicate",
        ),
        (
            "hook-as-user-atexit = frobnicate:x",
            "hook action not found: frobnicate",
        ),
        ("hook-touch = /tmp/x frobnicate:x", "hook action not found: frobnicate"),
        ("hook-accepting = write:/only-a-file", "write write:FILE TEXT"),
        ("hook-post-fork = unix_signal:99 grace_them_all", "\"99\" is no signal"),
        ("hook-as-root = alarm:x", "write alarm:NAME MESSAGE"),
        ("mount-as-root = tmpfs", "write mount:TYPE WHAT WHERE [FLAGS]"),
    ] {
        let setup = Setup::new().wsgi(APP).file("h.ini", &format!("[uwsgi]\n{line}\n"));
        let ended = setup.args(["--ini", "@DIR@/h.ini"]).run();
        assert_eq!(ended.code, 1, "{line}: {}", ended.output);
        assert!(ended.output.contains(expected), "{line}: {}", ended.output);
        assert!(ended.output.contains("h.ini:2"), "{line}: {}", ended.output);
        let setup = Setup::new().file(
            "h.ini",
            &format!("[uwsgi]\n{line}\nno-such-key-at-all = 1\nstrict = 1\n"),
        );
        let checked = setup.args(["--ini", "@DIR@/h.ini", "--check-config"]).run();
        assert_eq!(checked.code, 1);
        for part in [expected, "no-such-key-at-all"] {
            assert!(checked.output.contains(part), "all at once: {}", checked.output);
        }
    }
}

#[test]
fn a_failing_hook_ends_the_start_and_a_safe_one_does_not() {
    let ended = Setup::new().wsgi(APP).args(["--exec-as-user", "exit 3"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("command \"exit 3\" failed"), "{}", ended.output);
    let server = Setup::new()
        .wsgi(APP)
        .args([
            "--hook-as-user",
            "safeexec:exit 3",
            "--hook-as-user",
            "print:still here",
        ])
        .start();
    assert!(server.log().contains("still here"));
    assert_eq!(http::get(server.port(), "/").status, 200);
}

#[test]
fn mounts_are_made_and_undone() {
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::getuid() } != 0 {
        return rsgi_tests::skipped("only root can mount");
    }
    let setup = Setup::new().wsgi(APP);
    std::fs::create_dir(setup.dir().join("m")).unwrap();
    let mut server = setup
        .args([
            "--mount-as-root",
            "tmpfs none @DIR@/m nosuid,size=1m",
            "--exec-as-user",
            "grep @DIR@/m /proc/mounts",
        ])
        .args([
            "--wait-for-mountpoint",
            "/proc",
            "--hook-as-user-atexit",
            "umount:@DIR@/m",
        ])
        .start();
    assert!(server.log().contains("/m tmpfs rw,nosuid"), "{}", server.log());
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(server.dir().to_str().unwrap()));
    assert!(!is_alive(server.pid()));
}
