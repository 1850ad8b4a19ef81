//! The wheel: installed by pip into virtualenvs of different Pythons, it serves at once and tells what it is; and the
//! type stubs that it carries agree with the module.

use rsgi_tests::{Setup, build_dir, interpreters, skipped};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the command can be run");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The wheel of this build. `None`: the build has taken pcre2 from the system, which no wheel may.
fn wheel(folder: &Path) -> Option<PathBuf> {
    let mut command = Command::new("python3");
    command.arg(format!("{ROOT}/packaging/wheel.py"));
    command.arg(build_dir()).arg(folder);
    let output = command.output().expect("the tests need python3");
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("build with PCRE2_SYS_STATIC=1") {
        skipped("the build is linked to the system's pcre2");
        return None;
    }
    assert!(output.status.success(), "{words}");
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Two Pythons of different versions that can be embedded and can make virtualenvs.
fn pythons() -> Vec<PathBuf> {
    let question = "import sys, sysconfig, ensurepip; v = sys.version_info[:2]; \
                    print(v[0] * 100 + v[1] if v >= (3, 9) and sysconfig.get_config_var('Py_ENABLE_SHARED') else 0)";
    let mut by_version = BTreeMap::new();
    for python in interpreters::all() {
        if let Some(version) = interpreters::ask(&python, question).filter(|v| v != "0") {
            by_version.entry(version).or_insert(python);
        }
    }
    let first = by_version.first_key_value().map(|(_, p)| p.clone());
    let last = by_version.last_key_value().map(|(_, p)| p.clone());
    let mut two: Vec<PathBuf> = first.into_iter().chain(last).collect();
    two.dedup();
    two
}

#[test]
fn pip_installs_it_into_virtualenvs_of_any_python() {
    let pythons = pythons();
    if pythons.is_empty() {
        return skipped("no Python with a shared library and ensurepip");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let Some(wheel) = wheel(folder.path()) else {
        return;
    };
    for (number, python) in pythons.iter().enumerate() {
        let home = folder.path().join(format!("venv{number}"));
        run(Command::new(python).args(["-m", "venv"]).arg(&home));
        let own = home.join("bin/python");
        run(Command::new(&own)
            .args(["-m", "pip", "install", "-q", "--no-index"])
            .arg(&wheel));
        // neither activated nor named: the server finds the virtualenv that it is in
        let app = "import sys\n\
                   def application(env, start):\n    \
                   start('200 OK', [])\n    \
                   return [(sys.prefix + ' %d.%d' % sys.version_info[:2]).encode()]\n";
        let server = Setup::new()
            .program(home.join("bin/rsgi"))
            .file("app.py", app)
            .args(["--http", "127.0.0.1:0", "--module", "app", "--pythonpath", "@DIR@"])
            .start();
        let version = interpreters::ask(&own, "import sys; print('%d.%d' % sys.version_info[:2])").expect("it runs");
        let answer = rsgi_tests::http::get(server.gateway_port(), "/").text();
        let home = home.canonicalize().expect("it is there");
        assert_eq!(answer, format!("{} {version}", home.display()));
        let outside = Command::new(&own)
            .args(["-c", "import uwsgi"])
            .output()
            .expect("it runs");
        let words = String::from_utf8_lossy(&outside.stderr);
        assert!(
            words.contains("ImportError") && words.contains("rsgi --http"),
            "{words}"
        );
    }
}

#[test]
fn the_same_binaries_make_the_same_wheel() {
    let (one, two) = (tempfile::tempdir(), tempfile::tempdir());
    let [one, two] = [one, two].map(|dir| {
        let dir = dir.expect("a temporary folder can be made");
        wheel(dir.path()).map(|file| std::fs::read(file).expect("it was written"))
    });
    assert!(one == two, "two wheels of the same binaries differ");
}

#[test]
fn the_stubs_name_what_the_module_has() {
    // names of the stub, without those of types; the module has no other public ones
    let app = "import ast, uwsgi\n\
        tree = ast.parse(open('@DIR@/uwsgi.pyi').read())\n\
        names = set()\n\
        for node in tree.body:\n    \
            if isinstance(node, ast.FunctionDef): names.add(node.name)\n    \
            elif isinstance(node, ast.AnnAssign): names.add(node.target.id)\n\
        hooks = {'post_fork_hook', 'after_req_hook', 'atexit', 'spooler', 'mule_msg_hook', 'env', 'mode', 'pidfile', 'applications'}\n\
        have = {n for n in dir(uwsgi) if not n.startswith('_')}\n\
        print('MISSING', sorted(names - have - hooks), flush=True)\n\
        print('UNNAMED', sorted(have - names - {'start_response'}), flush=True)\n\
        import uwsgidecorators\n\
        tree = ast.parse(open('@DIR@/uwsgidecorators.pyi').read())\n\
        names = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != '_'}\n\
        print('DECORATORS', sorted(n for n in names if not hasattr(uwsgidecorators, n)), flush=True)\n\
        def application(env, start):\n    \
            start('200 OK', [])\n    \
            return [b'']\n";
    let stub =
        |name: &str| std::fs::read_to_string(format!("{ROOT}/plugins/python/stubs/{name}")).expect("it is there");
    let server = Setup::new()
        .wsgi(app)
        .file("uwsgi.pyi", &stub("uwsgi.pyi"))
        .file("uwsgidecorators.pyi", &stub("uwsgidecorators.pyi"))
        .file("spool/.keep", "")
        .args([
            "--master",
            "--mule",
            "--spooler",
            "@DIR@/spool",
            "--cache2",
            "name=one,items=10",
        ])
        .args(["--queue", "10", "--sharedarea", "1", "--locks", "1"])
        .start();
    let log = server.log();
    for expected in ["MISSING []", "UNNAMED []", "DECORATORS []"] {
        assert!(log.contains(expected), "no {expected:?} in: {log}");
    }
}
