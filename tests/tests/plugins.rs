//! C plugins: built with uwsgiconfig, loaded, refused, and called at their times.

use rsgi_tests::http::{exchange, get, post};
use rsgi_tests::{Setup, build_plugin, program, send, wait_for};
use std::path::Path;
use std::process::Command;

const FOOBAR: &str = r#"
#include <uwsgi.h>

static int foo_init() {
      uwsgi_log("Hello World\n");
      return 0;
}

struct uwsgi_plugin foobar_plugin = {
        .name = "foobar",
        .init = foo_init,
};
"#;

fn gcc(dir: &Path, output: &str, arguments: &[&str]) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/constructor.c");
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include");
    let status = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o", output, include])
        .args(arguments)
        .arg(source)
        .current_dir(dir)
        .status()
        .expect("gcc can be run");
    assert!(status.success());
}

#[test]
fn the_tutorials_plugin_is_built_loaded_and_initialised() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "foobar.c", FOOBAR);
    let app = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'beside']\n";
    let server = setup.wsgi(app).args(["--plugin", "./foobar_plugin.so"]).start();
    assert_eq!(server.log().matches("Hello World\n").count(), 1);
    assert_eq!(server.get("/").text(), "beside");
}

#[test]
fn a_renamed_file_works_too() {
    let setup = Setup::new();
    let so = build_plugin(setup.dir(), "foobar.c", FOOBAR);
    std::fs::rename(so, setup.dir().join("foobar.so")).unwrap();
    let ended = setup.args(["--plugin", "./foobar.so"]).run();
    assert!(ended.output.contains("Hello World\n"), "{}", ended.output);
    assert_eq!(ended.code, 1, "there is no socket");
}

#[test]
fn a_plugin_is_found_by_name_in_plugins_dir() {
    for name in ["foobar", "foobar_plugin.so"] {
        let setup = Setup::new();
        build_plugin(setup.dir(), "foobar.c", FOOBAR);
        let ended = setup.args(["--plugins-dir", "@DIR@", "--plugin", name]).run();
        assert!(ended.output.contains("Hello World\n"), "{name}: {}", ended.output);
    }
}

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

#[test]
fn hooks_run_in_their_order_and_processes() {
    let mut server = every_hook().args(["--threads", "2", "--mount", "/m=thing"]).start();
    assert_eq!(get(server.port(), "/").text(), "hooked");
    server.wait_log("HOOK master_cycle", 2);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    let seen: Vec<&str> = log.lines().filter_map(|l| l.strip_prefix("HOOK ")).collect();
    let order = |names: &[&str]| {
        let places: Vec<usize> = names
            .iter()
            .map(|n| {
                seen.iter()
                    .position(|s| s == n)
                    .unwrap_or_else(|| panic!("{n} is missing in {seen:#?}"))
            })
            .collect();
        assert!(places.is_sorted(), "{names:?} in {seen:#?}");
    };
    order(&[
        "on_load wid=0",
        "init wid=0",
        "post_init wid=0",
        "enable_threads wid=0",
        "preinit_apps wid=0",
        "init_apps wid=0",
        "mount_app /m thing",
        "postinit_apps wid=0",
        "master_fixup 0 wid=0",
        "pre_uwsgi_fork wid=0",
        "post_uwsgi_fork 1",
        "master_fixup 1 wid=1",
        "post_fork wid=1",
        "worker wid=1",
        "fixup wid=1",
        "hijack_worker wid=1",
        "after_request 200 6",
        "atexit wid=1",
        "master_cleanup wid=0",
    ]);
    // the second thread starts while the first may serve already
    order(&["hijack_worker wid=1", "init_thread 1", "atexit wid=1"]);
    assert_eq!(seen.iter().filter(|s| s.starts_with("init wid")).count(), 1);
    assert!(seen.contains(&"post_uwsgi_fork 0"));
    assert!(!seen.contains(&"atexit wid=0"));
}

#[test]
fn the_harakiri_hook_runs_before_the_worker_is_killed() {
    let mut server = every_hook().args(["--harakiri", "1"]).start();
    let port = server.port();
    let stuck = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut stream = rsgi_tests::http::connect(port);
        stream.write_all(b"GET /sleep HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        let mut left = Vec::new();
        let _ = stream.read_to_end(&mut left);
        left
    });
    server.wait_log("HOOK harakiri 1", 1);
    server.wait_log("HARAKIRI ON WORKER 1 (pid: ", 1);
    server.wait_log("HARAKIRI [core 0] 127.0.0.1 - GET /sleep since ", 1);
    assert!(stuck.join().unwrap().is_empty());
    server.wait_log("Respawned rsgi worker 1 (new pid: ", 1);
    assert_eq!(get(server.port(), "/").text(), "hooked");
}

#[test]
fn functions_are_called_after_each_request() {
    let mut server = every_hook()
        .args([
            "--after-request-hook",
            "called_after",
            "--after-request-call",
            "not_there",
        ])
        .start();
    get(server.port(), "/");
    get(server.port(), "/");
    server.wait_log("CALLED AFTER 200", 2);
    assert!(
        server
            .log()
            .contains("after-request-hook: unable to call function \"not_there\""),
        "{}",
        server.log()
    );
}

#[test]
fn a_crash_ends_one_worker_and_names_the_plugin() {
    let mut server = every_hook().start();
    use std::io::{Read, Write};
    let mut stream = server.connect(server.port());
    stream.write_all(b"GET /crash HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    server.wait_log(
        "worker 1 crashed in the request hook of plugin every_hook: 127.0.0.1 - GET /crash",
        1,
    );
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(get(server.port(), "/").text(), "hooked");
}

#[test]
fn requests_bodies_and_answers_of_the_c_api() {
    let setup = Setup::new().file("data.txt", "0123456789");
    build_plugin(setup.dir(), "answers.c", include_str!("../c/answers.c"));
    let server = setup
        .args([
            "--plugin",
            "./answers_plugin.so",
            "--http-socket",
            "127.0.0.1:0",
            "--http-socket-modifier1",
            "200",
        ])
        .start();
    let port = server.port();
    let plain = exchange(
        port,
        b"GET /x?p=0&q=1%202 HTTP/1.1\r\nHost: h\r\nCookie: a=1; c=two\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(plain.line, "HTTP/1.1 202 Accepted Here");
    assert_eq!(
        plain.text(),
        "GET /x?p=0&q=1%202 vars=14 added=1 qs=1%202 cookie=two mod=200/0"
    );
    assert_eq!(
        plain.header("content-length"),
        Some(plain.body.len().to_string().as_str())
    );
    let data: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
    let echo = post(port, "/body", &data);
    assert_eq!((echo.status, echo.body == data), (201, true));
    assert_eq!(post(port, "/lines", b"one\ntwo\n\nlast").text(), "4");
    assert_eq!(get(port, "/file").text(), "23456789");
    assert_eq!(get(port, "/again").text(), "again again again ");
    assert_eq!(get(port, "/404").status, 404);
    assert_eq!(get(port, "/error").status, 500);
    let split = get(port, "/split");
    assert_eq!((split.text().as_str(), split.header("x-evil")), ("refused", None));
}

#[test]
fn chunked_bodies_reach_the_plugin_decoded() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "answers.c", include_str!("../c/answers.c"));
    let server = setup
        .args([
            "--plugin",
            "./answers_plugin.so",
            "--http-socket",
            "127.0.0.1:0",
            "--http-socket-modifier1",
            "200",
        ])
        .start();
    let request = b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    assert_eq!(exchange(server.port(), request).text(), "hello world");
}

#[test]
fn options_of_plugins_are_set_and_their_plugin_is_found_by_them() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "options.c", include_str!("../c/options.c"));
    let ended = setup
        .file("x.ini", "[uwsgi]\nplugins-dir = @DIR@\nopts-text = from the file\nopts-number = 9\nopts-item = one\nopts-item = two\n")
        .args(["--ini", "x.ini", "--opts-flag", "--opts-big", "5000000000", "--plugins-dir", "@DIR@"])
        .run();
    let log = &ended.output;
    assert!(
        log.contains("OPTS text=from the file number=9 big=5000000000 flag=1\n"),
        "{log}"
    );
    assert!(log.contains("ITEM one (3)\nITEM two (3)\n"), "{log}");
    assert!(
        log.contains("KV a=1 b=two\n") && log.contains("key \"a\" is unknown: it is left out\nKV b=two\n"),
        "{log}"
    );
    assert!(log.contains("STR concatenated 0 1\n"), "{log}");
}

#[test]
fn refused_files_run_no_code_and_say_what_to_do() {
    let cases: [(&str, &[&str], &str); 3] = [
        ("constructor.so", &[], "carries no rsgi stamp"),
        ("constructor.so", &["-DFOREIGN_MAJOR"], "built for plugin ABI 99"),
        (
            "other.so",
            &["-DWITH_HEADER", "-Dconstructor_plugin=misnamed"],
            "undefined symbol",
        ),
    ];
    for (file, flags, why) in cases {
        let setup = Setup::new();
        gcc(setup.dir(), file, flags);
        let ended = setup
            .args(["--need-plugin", &format!("./{file}"), "--http-socket", "127.0.0.1:0"])
            .run();
        assert_eq!(ended.code, 1, "{}", ended.output);
        assert!(ended.output.contains(why), "{why}: {}", ended.output);
        assert!(!ended.output.contains("CONSTRUCTOR RAN"), "{}", ended.output);
    }
    // the same file, acceptable: its constructor is heard, so the silence above means something
    let setup = Setup::new();
    gcc(setup.dir(), "constructor.so", &["-DWITH_HEADER"]);
    let ended = setup.args(["--plugin", "./constructor.so"]).run();
    assert!(ended.output.contains("CONSTRUCTOR RAN"), "{}", ended.output);
}

#[test]
fn what_is_no_plugin_is_refused() {
    let ended = Setup::new()
        .file("text_plugin.so", "not an ELF file")
        .args(["--need-plugin", "./text_plugin.so"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("not an ELF file"), "{}", ended.output);
    let ended = Setup::new()
        .args(["--need-plugin", "nope", "--http-socket", "127.0.0.1:0"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("nope_plugin.so"), "{}", ended.output);
    assert!(
        ended.output.contains("unable to load plugin \"nope\""),
        "{}",
        ended.output
    );
}

#[test]
fn a_missing_plugin_does_not_stop_a_server_that_can_do_without() {
    let app = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'fine']\n";
    let server = Setup::new().args(["--plugin", "nope"]).wsgi(app).start();
    assert!(server.log().contains("!!! UNABLE to load rsgi plugin: "));
    assert_eq!(server.get("/").text(), "fine");
}

#[test]
fn a_worker_hook_replaces_the_request_loop() {
    let source = r#"
#include <uwsgi.h>
static int worker(void) {
    int fd = uwsgi.sockets->fd;
    uwsgi_socket_b(fd);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        char buf[4096];
        if (c < 0) continue;
        if (read(c, buf, sizeof buf) > 0) {
            char out[200];
            int n = snprintf(out, sizeof out, "HTTP/1.0 200 OK\r\n\r\nhand-made by worker %d", uwsgi.mywid);
            if (write(c, out, n) < 0) {}
        }
        close(c);
    }
    return 1;
}
struct uwsgi_plugin wrk_plugin = { .name = "wrk", .worker = worker };
"#;
    let setup = Setup::new();
    build_plugin(setup.dir(), "wrk.c", source);
    let mut server = setup
        .args(["--plugin", "./wrk_plugin.so", "--http-socket", "127.0.0.1:0"])
        .start();
    assert_eq!(server.get("/").text(), "hand-made by worker 1");
    let (_, pid) = server.workers()[0];
    send(pid, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker 1", 1);
    wait_for("the new worker's answer", || {
        (server.get("/").text() == "hand-made by worker 1").then_some(())
    });
}

#[test]
fn a_logger_plugin_gets_what_server_and_application_print() {
    let app = "import sys\nprint('printed by the app', flush=True)\ndef application(e, sr):\n    sr('200 OK', [])\n    return [b'x']\n";
    let server = Setup::new()
        .args(["--plugin", "logfile", "--logger", "file:@DIR@/app.log"])
        .wsgi(app)
        .start_unready();
    let read = |name: &str| std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
    wait_for("the worker's line in the file", || {
        read("app.log").contains("spawned rsgi worker 1").then_some(())
    });
    assert!(read("app.log").contains("printed by the app"), "{}", read("app.log"));
    std::fs::rename(server.dir().join("app.log"), server.dir().join("old.log")).unwrap();
    send(server.pid(), libc::SIGUSR1);
    wait_for("a new file after the old one was moved away", || {
        read("app.log").contains("rsgi instance configuration").then_some(())
    });
}

#[test]
fn a_logger_may_complain_about_itself() {
    let source = r#"
#include <uwsgi.h>
static ssize_t complain(struct uwsgi_logger *ul, char *message, size_t len) {
    uwsgi_log("COMPLAINT %s %d\n", ul->arg, ul->configured++);
    if (ul->configured == 2) uwsgi_error_safe("complain()");
    return len;
}
static void on_load(void) { uwsgi_register_logger("complain", complain); }
struct uwsgi_plugin complain_plugin = { .name = "complain", .on_load = on_load };
"#;
    let setup = Setup::new();
    build_plugin(setup.dir(), "complain.c", source);
    let mut server = setup
        .args(["--plugin", "./complain_plugin.so", "--logger", "complain:loudly"])
        .wsgi("def application(e, sr):\n    sr('200 OK', [])\n    return [b'x']\n")
        .start_unready();
    server.wait_log("COMPLAINT loudly 3", 1);
    assert!(server.log().contains("complain(): "), "{}", server.log());
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn an_unknown_logger_is_an_error() {
    let ended = Setup::new()
        .args(["--logger", "nolog:x", "--http-socket", "127.0.0.1:0"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("unable to find logger nolog"), "{}", ended.output);
}

#[test]
fn the_header_and_flags_of_the_host_build_a_plugin_by_hand() {
    let setup = Setup::new();
    let output = |argument: &str| {
        let output = Command::new(program("rsgi"))
            .arg(argument)
            .output()
            .expect("rsgi can be run");
        String::from_utf8(output.stdout).expect("text")
    };
    std::fs::write(setup.dir().join("uwsgi.h"), output("--dot-h")).unwrap();
    std::fs::write(setup.dir().join("foobar.c"), FOOBAR).unwrap();
    let command = format!(
        "gcc -shared -o foobar_plugin.so {} -I. foobar.c",
        output("--cflags").trim()
    );
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .current_dir(setup.dir())
            .status()
            .unwrap()
            .success()
    );
    assert!(
        setup
            .args(["--plugin", "./foobar_plugin.so"])
            .run()
            .output
            .contains("Hello World\n")
    );
}

#[test]
fn a_folder_with_uwsgiplugin_py_is_built() {
    let setup = Setup::new();
    let folder = setup.dir().join("myplug");
    std::fs::create_dir(&folder).unwrap();
    let script = "NAME='dirplug'\nCFLAGS=['-DFACTOR=2']\nLDFLAGS=[]\nLIBS=['-lm']\nGCC_LIST=['one', 'two.cc']\n";
    std::fs::write(folder.join("uwsgiplugin.py"), script).unwrap();
    let one = "#include <uwsgi.h>\nint two(void);\nstatic int init(void) { uwsgi_log(\"answer %d\\n\", FACTOR * two()); return 0; }\nstruct uwsgi_plugin dirplug_plugin = { .name = \"dirplug\", .init = init };\n";
    std::fs::write(folder.join("one.c"), one).unwrap();
    std::fs::write(
        folder.join("two.cc"),
        "#include <cmath>\nextern \"C\" int two(void) { return (int) std::sqrt(441.0); }\n",
    )
    .unwrap();
    let output = Command::new(program("uwsgiconfig"))
        .args(["--plugin", "myplug", "core"])
        .current_dir(setup.dir())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("no C++ compiler; install one with: apt-get install g++") {
        rsgi_tests::skipped("a plugin with C++ in it needs g++ (apt-get install g++)");
        return;
    }
    assert!(output.status.success(), "{words}");
    assert!(
        setup
            .args(["--plugin", "./dirplug_plugin.so"])
            .run()
            .output
            .contains("answer 42\n")
    );
}

#[test]
fn compiler_errors_are_shown_and_end_the_build() {
    let setup = Setup::new()
        .file("broken.c", "#include <uwsgi.h>\nthis is not C;\n")
        .file("curl.c", "#include <nowhere/at_all.h>\n");
    let build = |file: &str| {
        let output = Command::new(program("uwsgiconfig"))
            .args(["--plugin", file])
            .current_dir(setup.dir())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, words) = build("broken.c");
    assert_eq!(code, Some(1));
    assert!(words.contains("broken.c:2:") && words.contains("error:"), "{words}");
    let (code, words) = build("curl.c");
    assert_eq!(code, Some(1));
    assert!(
        words.contains("nowhere/at_all.h is missing; install it with: apt-get install"),
        "{words}"
    );
}

#[test]
fn a_jail_plugin_wraps_the_start_and_a_bare_argument_may_be_its() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "jail.c", include_str!("../c/jail.c"));
    let app = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'jailed']\n";
    let mut server = setup
        .args(["--plugin", "./jail_plugin.so", "some.thing"])
        .wsgi(app)
        .start();
    assert_eq!(server.get("/").text(), "jailed");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    let said: Vec<&str> = log
        .lines()
        .filter(|l| l.starts_with("JAIL") || l.starts_with("MAGIC"))
        .collect();
    assert_eq!(
        said,
        [
            "MAGIC some.thing",
            "JAIL made",
            "JAIL early_post_jail",
            "JAIL post_jail",
            "JAIL before_privileges_drop",
            "JAIL left",
        ]
    );
    let ended = Setup::new().args(["some.thing"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("some.thing"), "{}", ended.output);
}
