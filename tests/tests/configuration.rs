//! Sources, what is asked of a configuration without serving, and what it comes to.

use rsgi_tests::{Ended, Setup};
use std::process::{Command, Stdio};

const APP: &str = "
import os, uwsgi
def application(env, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if env['PATH_INFO'] == '/opt':
        return [repr(sorted((k, v) for k, v in uwsgi.opt.items())).encode()]
    return [os.environ.get(env['PATH_INFO'][1:], 'none').encode()]
";

fn run(args: &[&str]) -> Ended {
    Setup::new().args(args.iter().copied()).run()
}

#[test]
fn an_option_is_explained_from_every_side() {
    let told = run(&["--explain", "harakiri"]);
    assert_eq!(told.code, 0);
    for part in [
        "harakiri: ",
        "aliases   -t",
        "unit      seconds",
        "default   0",
        "status    works",
        "example   harakiri = 30",
    ] {
        assert!(told.output.contains(part), "{part}: {}", told.output);
    }
    let told = run(&["--explain", "wsgi-file"]);
    assert!(told.output.contains("from      the plugin python"), "{}", told.output);
    let told = run(&["--explain", "buffer-size"]);
    assert!(
        told.output.contains("65536 (with classic-defaults: 4096)"),
        "{}",
        told.output
    );
    let told = run(&["--explain", "legion"]);
    assert!(
        told.code == 0 && told.output.contains("status    refused"),
        "{}",
        told.output
    );
    let told = run(&["--explain", "harakari"]);
    assert_eq!(told.code, 1);
    assert!(told.output.contains("did you mean \"harakiri\"?"), "{}", told.output);
}

#[test]
fn the_check_says_every_problem_at_once() {
    let config = "[uwsgi]\nhttp-socket = 127.0.0.1:99999\nprocesses = many\nlegion = x\nif-moon = full\nendif =\nuid = no-such-user\npidfile = /no/such/dir/pid\ninclude = @DIR@/none.ini\n";
    let setup = || Setup::new().file("c.ini", config);
    let checked = setup()
        .args(["--check-config", "@DIR@/c.ini", "--proceses", "--master=2"])
        .run();
    assert_eq!(checked.code, 1);
    for part in [
        "unrecognized option '--proceses': did you mean '--processes'?",
        "option '--master' doesn't allow an argument",
        "c.ini:2: http-socket: invalid port 99999",
        "c.ini:3: processes: invalid number \"many\"",
        "c.ini:4: legion: legions are not in rsgi",
        "c.ini:5: if-moon: unknown condition",
        "user no-such-user not found. (",
        "c.ini:7, option uid",
        "c.ini:8, option pidfile): the folder /no/such/dir is missing",
        "c.ini:9: include: unable to read configuration",
    ] {
        assert!(checked.output.contains(part), "{part}:\n{}", checked.output);
    }
    let good = Setup::new()
        .file("c.ini", "[uwsgi]\nhttp-socket = 127.0.0.1:0\nmaster = true\n")
        .args(["--check-config", "@DIR@/c.ini"])
        .run();
    assert_eq!(good.code, 0);
    assert!(
        good.output.contains("the configuration has no mistake"),
        "{}",
        good.output
    );
    assert!(!good.output.contains("worker"), "it must not start: {}", good.output);
}

#[test]
fn what_is_shown_is_a_configuration_with_its_origins() {
    let shown = Setup::new()
        .file("c.ini", "[uwsgi]\nname = shop\nprocname = %(name)\nmaster\n")
        .env("UWSGI_THREADS", "3")
        .args(["--ini", "@DIR@/c.ini", "--show-config", "--no-server", "-p", "2"])
        .run();
    let lines: Vec<&str> = shown.output.lines().collect();
    let above = |line: &str| {
        let at = lines
            .iter()
            .position(|l| *l == line)
            .unwrap_or_else(|| panic!("{line}:\n{}", shown.output));
        lines[at - 1].to_owned()
    };
    assert!(above("procname = shop").ends_with("c.ini:3"));
    assert!(above("master = true").ends_with("c.ini:4"));
    assert_eq!(above("processes = 2"), "; command line");
    assert_eq!(above("threads = 3"), "; environment variable UWSGI_THREADS");
}

#[test]
fn own_variables_stand_in_for_uwsgis() {
    let shown = Setup::new()
        .env("UWSGI_HTTP_SOCKET", "127.0.0.1:1")
        .env("RSGI_HTTP_SOCKET", "127.0.0.1:0")
        .env("UWSGI_PROCESSES", "2")
        .env("RSGI_PROCESSES", "3")
        .env("UWSGI_RELOADS", "7")
        .args(["--show-config", "--check-config"])
        .run();
    assert_eq!(shown.code, 0, "{}", shown.output);
    assert_eq!(shown.output.matches("http-socket = ").count(), 1, "{}", shown.output);
    assert!(shown.output.contains("http-socket = 127.0.0.1:0\n"));
    assert!(shown.output.contains("processes = 3\n") && !shown.output.contains("processes = 2\n"));
    assert!(!shown.output.contains("reloads"), "{}", shown.output);
}

#[test]
fn a_server_from_toml() {
    let config = "[uwsgi]\nhttp-socket = \"127.0.0.1:0\"\nwsgi-file = \"@DIR@/app.py\"\nenv = [\"ONE=1\", \"TWO=a b\"]\nprocesses = 1\n";
    let server = Setup::new()
        .file("app.py", APP)
        .file("c.toml", config)
        .args(["@DIR@/c.toml"])
        .start();
    assert_eq!(server.get("/ONE").text(), "1");
    assert_eq!(server.get("/TWO").text(), "a b");
    assert!(
        server.get("/opt").text().contains("('processes', b'1')"),
        "{}",
        server.get("/opt").text()
    );
}

#[test]
fn configurations_come_from_streams_and_commands() {
    let mut child = Command::new(rsgi_tests::program("rsgi"))
        .args(["--ini", "-", "--check-config", "--show-config"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"[uwsgi]\nthreads = 5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("threads = 5"), "{text}");

    let shown = run(&[
        "--ini",
        "exec://printf '[uwsgi]\\nthreads = 6\\n'",
        "--check-config",
        "--show-config",
    ]);
    assert!(
        shown.code == 0 && shown.output.contains("threads = 6"),
        "{}",
        shown.output
    );
    for (source, why) in [
        ("sym://x", "carries no configuration inside"),
        (
            "https://example.com/x.ini",
            "exec://curl -fsS https://example.com/x.ini",
        ),
        ("exec://exit 3", "the command failed"),
        ("fd://99", "Bad file descriptor"),
    ] {
        let ended = run(&["--ini", source]);
        assert!(
            ended.code == 1 && ended.output.contains(why),
            "{source}: {}",
            ended.output
        );
    }
}

#[test]
fn texts_are_injected_around_a_file() {
    let shown = Setup::new()
        .file("a.ini", "[uwsgi]\nset-ph = base=/srv\n")
        .file("c.ini", "procname = %(base)/app\n[other]\nthreads = 9\n[uwsgi]\n")
        .file("z.ini", "threads = 2\n")
        .args(["--inject-before", "@DIR@/a.ini", "--inject-after", "@DIR@/z.ini"])
        .args(["--ini", "@DIR@/c.ini", "--check-config", "--show-config"])
        .run();
    assert_eq!(shown.code, 0, "{}", shown.output);
    assert!(
        shown.output.contains("c.ini:1\nprocname = /srv/app\n"),
        "{}",
        shown.output
    );
    assert!(shown.output.contains("z.ini:1\nthreads = 2\n"), "{}", shown.output);
}

#[test]
fn an_option_of_a_plugin_that_is_not_installed_names_the_plugin() {
    // alone in a folder, the binary finds no plugin
    let setup = Setup::new();
    let lonely = setup.dir().join("bin/rsgi");
    std::fs::create_dir(setup.dir().join("bin")).unwrap();
    std::fs::copy(rsgi_tests::program("rsgi"), &lonely).unwrap();
    if std::path::Path::new("/usr/lib/rsgi/plugins").exists() {
        return rsgi_tests::skipped("plugins are installed on this machine");
    }
    let ended = setup
        .file(
            "c.ini",
            "[uwsgi]\nhttp-socket = 127.0.0.1:0\nwsgi-file = x.py\nlua = x.lua\n",
        )
        .program(lonely)
        .args(["@DIR@/c.ini"])
        .run();
    assert_eq!(ended.code, 1);
    for part in [
        "c.ini:3: wsgi-file: it belongs to the plugin python, which is not installed",
        "c.ini:4: lua: it belongs to the plugin lua, which is not installed",
        "folder of python_plugin.so with plugins-dir",
    ] {
        assert!(ended.output.contains(part), "{part}: {}", ended.output);
    }
}
