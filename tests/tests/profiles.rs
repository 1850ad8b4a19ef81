//! `uwsgiconfig --build`: servers with plugins beside and inside of them, the same each time; and `uwsgiconfig.py`.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir, program};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const INSIDE: &str = "#include <uwsgi.h>\n\
    static int init(void) { uwsgi_log(\"INSIDE of %s\\n\", __FILE__); return 0; }\n\
    struct uwsgi_plugin inside_plugin = { .name = \"inside\", .init = init };\n";

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `uwsgiconfig --build` of the programs of this build.
fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("uwsgiconfig"));
    command.args(["--source", TOP, "--from"]).arg(build_dir());
    command.args(["--build"]).args(arguments).current_dir(dir);
    command
}

fn build(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("uwsgiconfig can be run")
}

#[test]
fn a_server_carries_plugins_inside() {
    let setup = Setup::new()
        .file(
            "mine.ini",
            "[uwsgi]\nplugins = python\nembedded_plugins = http, ./inside.c\n",
        )
        .file("inside.c", INSIDE);
    let built = build(setup.dir(), &["mine.ini", "--output", "out"]);
    assert!(built.status.success(), "{}", words(&built));
    let out = setup.dir().join("out");
    let mut files: Vec<_> = fs::read_dir(&out)
        .expect("it was made")
        .flatten()
        .map(|f| f.file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["python_abi3.so", "python_plugin.so", "rsgi"]);
    // what packagers do with programs leaves the plugins in them
    let stripped = Command::new("strip")
        .arg(out.join("rsgi"))
        .status()
        .expect("strip comes with the compiler");
    assert!(stripped.success());
    let mut server = setup
        .program(out.join("rsgi"))
        // nothing is loaded by itself with these, as in uWSGI
        .args(["--classic-defaults", "--plugin", "python", "--plugin", "http"])
        .args(["--http", "127.0.0.1:0", "--master"])
        .file(
            "app.py",
            "def application(e, sr):\n    sr('200 OK', [])\n    return [b'whole']\n",
        )
        .args(["--wsgi-file", "@DIR@/app.py"])
        .start();
    server.wait_log("spawned rsgi http 1", 1);
    assert!(server.log().contains("INSIDE of ./inside.c\n"), "{}", server.log());
    assert_eq!(get(server.gateway_port(), "/").text(), "whole");
    server.signal(libc::SIGHUP);
    server.wait_log("INSIDE of", 2);
    server.wait_log("spawned rsgi http 1", 2);
    assert_eq!(get(server.gateway_port(), "/").text(), "whole");
}

/// The plugin python is two files; both are inside, and nothing lies beside the server.
#[test]
fn python_is_inside_too() {
    let setup = Setup::new()
        .file("mine.ini", "embedded_plugins = python, http\nbin_name = app-server\n")
        .file(
            "app.py",
            "import sys, uwsgi\ndef application(e, sr):\n    sr('200 OK', [])\n    \
             return [b'%s %s' % (uwsgi.version, sys.version_info[:2] >= (3, 9) and b'alone')]\n",
        );
    let built = build(setup.dir(), &["mine.ini", "--output", "out"]);
    assert!(built.status.success(), "{}", words(&built));
    let out = setup.dir().join("out");
    assert_eq!(fs::read_dir(&out).expect("it was made").count(), 1);
    let stripped = Command::new("strip").arg(out.join("app-server")).status();
    assert!(stripped.expect("strip comes with the compiler").success());
    // where no plugin of this build is found
    let alone = setup.dir().join("app-server");
    fs::rename(out.join("app-server"), &alone).expect("it is ours");
    let mut server = setup
        .program(alone)
        .args(["--http", "127.0.0.1:0", "--master", "--processes", "2"])
        .args(["--wsgi-file", "@DIR@/app.py"])
        .start();
    server.wait_log("spawned rsgi http 1", 1);
    let answer = format!("{} alone", env!("CARGO_PKG_VERSION"));
    assert_eq!(get(server.gateway_port(), "/").text(), answer);
    server.signal(libc::SIGHUP);
    server.wait_log("spawned rsgi http 1", 2);
    assert_eq!(get(server.gateway_port(), "/").text(), answer);
}

#[test]
fn two_builds_are_the_same_and_go_where_packagers_say() {
    let setup = Setup::new()
        .file(
            "mine.ini",
            "plugins = lua, ./inside.c\nembedded_plugins = rsyslog\nplugin_dir = /opt/plugins\n",
        )
        .file("inside.c", INSIDE);
    let contents = |root: &str| {
        let built = command(
            setup.dir(),
            &["mine.ini", "--output", &format!("{root}-made"), "--install"],
        )
        .env("DESTDIR", setup.dir().join(root))
        .env("PREFIX", "/usr")
        .output()
        .expect("uwsgiconfig can be run");
        assert!(built.status.success(), "{}", words(&built));
        [
            "usr/bin/rsgi",
            "opt/plugins/lua_plugin.so",
            "opt/plugins/inside_plugin.so",
        ]
        .map(|file| {
            let path = setup.dir().join(root).join(file);
            fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
    };
    let (one, two) = (contents("one"), contents("two"));
    assert!(one == two, "two builds of one profile differ");
}

#[test]
fn cargo_is_told_what_is_wanted() {
    let setup = Setup::new().file(
        "cargo",
        "#!/bin/sh\n(echo \"$@\"; env) > @DIR@/asked\nmkdir -p @DIR@/target/riscv64gc-unknown-linux-gnu/release\n\
         echo server > @DIR@/target/riscv64gc-unknown-linux-gnu/release/rsgi\n\
         for name in http_plugin python_plugin python_abi3; do\n    \
         echo $name > @DIR@/target/riscv64gc-unknown-linux-gnu/release/lib$name.so\ndone\n",
    );
    let fake = setup.dir().join("cargo");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let built = Command::new(program("uwsgiconfig"))
        .args([
            "--build",
            "python",
            "--offline",
            "--verbose",
            "--source",
            TOP,
            "-o",
            "out",
        ])
        .args(["--target", "riscv64gc-unknown-linux-gnu"])
        .env("CARGO", &fake)
        .env("CC", "riscv64-linux-gnu-gcc")
        .env("CARGO_TARGET_DIR", setup.dir().join("target"))
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(built.status.success(), "{}", words(&built));
    let asked = fs::read_to_string(setup.dir().join("asked")).expect("cargo was called");
    let line = asked.lines().next().expect("its arguments");
    let wanted = "build --release --locked -p rsgi-core -p rsgi-plugin-python -p rsgi-plugin-python-abi3 -p rsgi-plugin-http \
                  --offline --verbose --target riscv64gc-unknown-linux-gnu";
    assert_eq!(line, wanted);
    for variable in [
        "CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER=riscv64-linux-gnu-gcc\n",
        "CC_riscv64gc_unknown_linux_gnu=riscv64-linux-gnu-gcc\n",
        "RSGI_PLUGIN_DIR=/usr/lib/rsgi/plugins\n",
    ] {
        assert!(asked.contains(variable), "no {variable} in {asked}");
    }
    assert!(words(&built).contains("\"--offline\""), "{}", words(&built));
    assert_eq!(
        fs::read_to_string(setup.dir().join("out/rsgi")).expect("it was copied"),
        "server\n"
    );
    assert!(setup.dir().join("out/python_abi3.so").is_file());
}

#[test]
fn what_cannot_be_built_is_said() {
    let setup = Setup::new();
    for (profile, why) in [
        (
            "as_shared_library = true\nembedded_plugins = http\n",
            "a library cannot carry plugins",
        ),
        (
            "plugins = nothing\n",
            "plugin nothing is neither one of rsgi's (graylog2, http, ",
        ),
        ("plugin = http\n", "mine.ini:1: rsgi's build has no key plugin"),
    ] {
        fs::write(setup.dir().join("mine.ini"), profile).expect("the folder is writable");
        let built = build(setup.dir(), &["mine.ini"]);
        assert!(
            !built.status.success() && words(&built).contains(why),
            "{}",
            words(&built)
        );
    }
    let nowhere = Command::new(program("uwsgiconfig"))
        .args(["--build", "core"])
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(
        words(&nowhere).contains("no source tree of rsgi here or above"),
        "{}",
        words(&nowhere)
    );
}

#[test]
fn uwsgiconfig_py_builds_plugins() {
    let setup = Setup::new().file("inside.c", INSIDE);
    let script = Command::new(program("rsgi"))
        .arg("--config-py")
        .output()
        .expect("rsgi can be run");
    fs::write(setup.dir().join("uwsgiconfig.py"), script.stdout).expect("the folder is writable");
    let built = Command::new("python3")
        .args(["uwsgiconfig.py", "--plugin", "inside.c", "--verbose"])
        .current_dir(setup.dir())
        .output()
        .expect("the tests need python3");
    assert!(built.status.success(), "{}", words(&built));
    assert!(
        words(&built).contains("\"-shared\""),
        "the command is not shown: {}",
        words(&built)
    );
    let imported = Command::new("python3")
        .args([
            "-c",
            "from uwsgiconfig import spcall; print(spcall('echo one'), spcall('false'))",
        ])
        .current_dir(setup.dir())
        .output()
        .expect("the tests need python3");
    assert_eq!(words(&imported), "one None\n");
    let ended = setup.args(["--plugin", "./inside_plugin.so"]).run();
    assert!(ended.output.contains("INSIDE of inside.c\n"), "{}", ended.output);
}
