//! Which Python is embedded, what is loaded into it, and what is said when that fails.

use rsgi_tests::interpreters::{self, ask};
use rsgi_tests::{Server, Setup, build_dir, wait_for};
use std::process::Command;

const WHO: &str = r#"
import sys, uwsgi
def application(env, start):
    out = "%d.%d|%s|%s|%s" % (sys.version_info[0], sys.version_info[1], sys.prefix, sys.executable, sys.argv)
    start("200 OK", [("Content-Type", "text/plain")])
    return [out.encode()]
"#;

#[test]
fn one_plugin_serves_virtualenvs_of_every_embeddable_python() {
    let mut served = Vec::new();
    for python in interpreters::all() {
        let Some(version) = ask(&python, "import sys; print('%d.%d' % sys.version_info[:2])") else {
            continue;
        };
        if served.contains(&version) {
            continue;
        }
        let setup = Setup::new();
        let venv = setup.dir().join("venv");
        let made = Command::new(&python)
            .args(["-m", "venv", "--without-pip"])
            .arg(&venv)
            .output();
        if !made.is_ok_and(|o| o.status.success()) {
            rsgi_tests::skipped(&format!("{} cannot make a virtualenv", python.display()));
            continue;
        }
        let mut server = setup
            .wsgi(WHO)
            .args(["--virtualenv", "@DIR@/venv", "-p", "2"])
            .start_unready();
        let ready = wait_for("a worker or a refusal", || {
            let log = server.log();
            let refused = log.lines().find(|l| l.starts_with("python: "));
            match refused {
                Some(line) => Some(Err(line.to_owned())),
                None => log.contains("spawned rsgi worker 2").then_some(Ok(())),
            }
        });
        if let Err(reason) = ready {
            rsgi_tests::skipped(&reason);
            assert!(
                reason.contains("too old") || reason.contains("shared library") || reason.contains("free-threaded")
            );
            continue;
        }
        server.wait_log("WSGI app 0 (mountpoint='') ready", 1);
        let answer = server.get("/").text();
        let shown = server.dir().join("venv").display().to_string();
        assert!(
            answer.starts_with(&format!("{version}|{shown}|{shown}/bin/python")),
            "{answer}"
        );
        served.push(version);
    }
    eprintln!("served: {served:?}");
    assert!(!served.is_empty(), "no Python of this machine can be embedded");
}

/// A folder `bin` with a program that answers as this Python would.
fn pretend(setup: &Setup, answers: &str) {
    use std::os::unix::fs::PermissionsExt;
    let bin = setup.dir().join("fake/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = bin.join("python3");
    std::fs::write(&program, format!("#!/bin/sh\nprintf '{answers}'\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A server that cannot have its Python ends with need-app's code, and says why and what to do.
fn refused(answers: &str, reasons: &[&str]) {
    let setup = Setup::new();
    pretend(&setup, answers);
    let ended = setup.wsgi(WHO).args(["--virtualenv", "@DIR@/fake"]).run();
    assert_eq!(ended.code, 22, "{}", ended.output);
    for reason in reasons {
        assert!(ended.output.contains(reason), "no {reason:?} in:\n{}", ended.output);
    }
}

#[test]
fn a_python_that_cannot_be_embedded_is_refused_with_the_fix() {
    refused(
        "3.99.1\\n/opt/py/bin/python3\\n/opt/py/lib\\nlibpython3.99.a\\nNone\\n/opt/py\\ncpython\\n0\\n",
        &[
            "Python 3.99.1",
            "has no shared library and cannot be embedded",
            "--enable-shared",
        ],
    );
    refused(
        "3.7.16\\n/opt/py/bin/python3\\n/opt/py/lib\\nlibpython3.7m.so.1.0\\nNone\\n/opt/py\\ncpython\\n0\\n",
        &["Python 3.7.16", "too old", "3.9"],
    );
    refused(
        "3.14.0\\n/opt/py/bin/python3\\n/opt/py/lib\\nlibpython3.14t.so.1.0\\nNone\\n/opt/py\\ncpython\\n1\\n",
        &["free-threaded"],
    );
    refused(
        "3.10.14\\n/opt/pp/bin/python3\\nNone\\nNone\\nNone\\n/opt/pp\\npypy\\nNone\\n",
        &["is pypy, not CPython"],
    );
    let ended = Setup::new().wsgi(WHO).args(["--virtualenv", "@DIR@/nowhere"]).run();
    assert!(
        ended.output.contains("Python Home is not a directory"),
        "{}",
        ended.output
    );
    assert_eq!(ended.code, 22);
}

#[test]
fn the_second_stage_is_missed_by_name() {
    let setup = Setup::new();
    std::fs::copy(
        build_dir().join("libpython_plugin.so"),
        setup.dir().join("python_plugin.so"),
    )
    .unwrap();
    let ended = setup.args(["--plugin", "@DIR@/python_plugin.so"]).wsgi(WHO).run();
    assert!(ended.output.contains("python_abi3.so is not in "), "{}", ended.output);
}

fn fails_to_load(app: &str, lines: &[&str]) {
    let ended = Setup::new().wsgi(app).run();
    assert_eq!(ended.code, 22, "{}", ended.output);
    let standard = "unable to load app 0 (mountpoint='') (callable not found or import error)";
    for line in lines.iter().chain([&standard]) {
        assert!(ended.output.contains(line), "no {line:?} in:\n{}", ended.output);
    }
}

#[test]
fn an_app_that_cannot_be_loaded_is_explained() {
    fails_to_load(
        "import no_such_module_here\n",
        &[
            "ModuleNotFoundError: No module named 'no_such_module_here'",
            "no module named no_such_module_here in the Python of ",
            "--virtualenv",
        ],
    );
    fails_to_load("def application(:\n", &["SyntaxError", "app.py:1: Python 3."]);
    fails_to_load("raise RuntimeError('at-import')\n", &["RuntimeError: at-import"]);
    fails_to_load(
        "def app(env, start): pass\n",
        &["unable to find \"application\" callable in file ", "add --callable app"],
    );
    fails_to_load("application = 5\n", &["\"application\" of file ", "is not callable"]);
}

#[test]
fn a_missing_module_names_the_path() {
    let ended = Setup::new()
        .args(["--http-socket", "127.0.0.1:0", "--module", "no_such_app:app"])
        .run();
    assert_eq!(ended.code, 22);
    assert!(
        ended.output.contains("no module no_such_app on sys.path ("),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("--pythonpath"), "{}", ended.output);
    let ended = Setup::new()
        .args(["--http-socket", "127.0.0.1:0", "--wsgi-file", "missing.py"])
        .run();
    assert!(
        ended.output.contains("failed to open python file missing.py"),
        "{}",
        ended.output
    );
}

const NAMED: &str = r#"
def make(text):
    def app(env, start):
        start("200 OK", [])
        return [("%s %s %s" % (text, env["SCRIPT_NAME"], env["PATH_INFO"])).encode()]
    return app
application = make("application")
other = make("other")
class Obj:
    app = staticmethod(make("attribute"))
obj = Obj()
"#;

fn serves(args: &[&str], path: &str, body: &str) {
    let setup = Setup::new().file("mod.py", NAMED);
    std::fs::create_dir(setup.dir().join("pkg")).unwrap();
    let mut server: Server = setup
        .file("pkg/__init__.py", "")
        .file("pkg/sub.py", NAMED)
        .args(["--http-socket", "127.0.0.1:0"])
        .args(args.iter().copied())
        .start();
    server.wait_log("spawned rsgi worker 1", 1);
    assert_eq!(server.get(path).text(), body, "{args:?}");
}

#[test]
fn the_application_can_be_named_in_many_ways() {
    serves(&["--module", "mod"], "/x", "application  /x");
    serves(&["-w", "mod:other"], "/x", "other  /x");
    serves(&["--wsgi", "pkg.sub:obj.app"], "/x", "attribute  /x");
    serves(&["--module", "mod:make('factory')"], "/x", "factory  /x");
    serves(&["--file", "mod.py", "--callable", "other"], "/x", "other  /x");
    serves(&["mod.py"], "/x", "application  /x");
    serves(&["--eval", "import mod; application = mod.other"], "/x", "other  /x");
    let mounts = [
        "--manage-script-name",
        "--mount",
        "/one=mod:other",
        "--mount",
        "/two=mod.py",
        "--module",
        "pkg.sub",
    ];
    serves(&mounts, "/one/x", "other /one /x");
    serves(&mounts, "/two", "application /two ");
    serves(&mounts, "/three", "application  /three");
}

#[test]
fn pyrun_runs_a_script_with_the_module_and_ends() {
    let ended = Setup::new()
        .file(
            "s.py",
            "import uwsgi, sys\nprint('ran', uwsgi.worker_id(), sys.argv)\nsys.exit(5)\n",
        )
        .args(["--pyrun", "s.py"])
        .run();
    assert!(ended.output.contains("ran 0 ['uwsgi']"), "{}", ended.output);
    assert_eq!(ended.code, 5);
}

#[test]
fn a_module_can_be_tested() {
    let ok = Setup::new().file("good.py", "X = 1\n").args(["--test", "good"]).run();
    assert_eq!(ok.code, 0, "{}", ok.output);
    let bad = Setup::new().file("bad.py", "1 / 0\n").args(["--test", "bad"]).run();
    assert_eq!(bad.code, 1);
    assert!(bad.output.contains("ZeroDivisionError"), "{}", bad.output);
}

#[test]
fn modules_have_second_names_and_the_app_may_mount_others() {
    let app = "import uwsgi, nick\n\
        def other(env, start):\n    start('200 OK', [])\n    return [b'other']\n\
        uwsgi.applications = {'/other': other}\n\
        def application(env, start):\n    start('200 OK', [])\n    return [nick.TEXT]\n";
    let server = Setup::new()
        .file("real.py", "TEXT = b'aliased'\n")
        .wsgi(app)
        .args(["--pymodule-alias", "nick=real", "--manage-script-name"])
        .start();
    assert_eq!(server.get("/").text(), "aliased");
    assert_eq!(server.get("/other/x").text(), "other");
}

#[test]
fn the_tracebacker_tells_where_the_threads_are() {
    use std::io::Read;
    let app = "import threading, time\n\
        def waiting_somewhere(): time.sleep(600)\n\
        def application(env, start):\n\
        \x20   threading.Thread(target=waiting_somewhere, daemon=True).start()\n\
        \x20   start('200 OK', [])\n    return [b'x']\n";
    let mut server = Setup::new().wsgi(app).args(["--py-tracebacker", "@DIR@/tb"]).start();
    server.wait_log("thread stacks can be read at ", 1);
    assert_eq!(server.get("/").status, 200);
    let mut stream = std::os::unix::net::UnixStream::connect(server.dir().join("tb1")).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("*** uWSGI Python tracebacker output ***"), "{text}");
    assert!(
        text.contains("function = waiting_somewhere line = def waiting_somewhere(): time.sleep(600)"),
        "{text}"
    );
}

/// A module in C as the manual of Python has it, compiled by hand.
const SPAM: &str = r#"
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *spam_length(PyObject *self, PyObject *args) {
    const char *text;
    if (!PyArg_ParseTuple(args, "s", &text)) return NULL;
    return PyLong_FromSize_t(strlen(text));
}
static PyMethodDef methods[] = {{"length", spam_length, METH_VARARGS, "bytes of a text"}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "spam", NULL, -1, methods};
PyMODINIT_FUNC PyInit_spam(void) { return PyModule_Create(&module); }
"#;

#[test]
fn a_module_in_c_is_imported_by_every_python() {
    let mut tried = 0;
    for (minor, home) in interpreters::embeddable() {
        let include = home.join(format!("include/python3.{minor}"));
        if !include.join("Python.h").is_file() {
            rsgi_tests::skipped(&format!("{} has no Python.h", home.display()));
            continue;
        }
        tried += 1;
        let setup = Setup::new().file("spammify.c", SPAM).wsgi(
            "import spam\ndef application(env, start):\n    start('200 OK', [])\n    return [b'%d' % spam.length('spam')]\n",
        );
        let built = Command::new("gcc")
            .args(["spammify.c", "-fPIC", "-shared", "-o", "spam.so", "-I"])
            .arg(&include)
            .current_dir(setup.dir())
            .output()
            .expect("gcc runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let server = setup.args(["--home", &home.display().to_string(), "-p", "2"]).start();
        assert_eq!(server.get("/").text(), "4", "3.{minor}");
    }
    assert!(tried > 0, "no Python of this machine has its header");
}
