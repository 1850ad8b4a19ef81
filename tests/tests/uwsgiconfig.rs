//! Building plugins from folders as uWSGI's own tree and third parties lay them out.

use rsgi_tests::{Setup, program};
use std::path::Path;
use std::process::{Command, Output};

fn build(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(program("uwsgiconfig"))
        .arg("--plugin")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("uwsgiconfig can be run")
}

/// The same, by somebody who trusts what is built.
fn build_trusted(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(program("uwsgiconfig"))
        .arg("--plugin")
        .args(arguments)
        .current_dir(dir)
        .env("UWSGICONFIG_RUN_SCRIPTS", "1")
        .output()
        .expect("uwsgiconfig can be run")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Writes files, making their folders.
fn tree(setup: &Setup, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = setup.dir().join(name);
        std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("the folder is writable");
        std::fs::write(path, text).expect("the folder is writable");
    }
}

const INSIDE: &str = r#"
#include "../../uwsgi.h"
#include "../shared/shared.h"
static int init(void) { uwsgi_log("INSIDE says " SHARED " from %s\n", __FILE__); return 0; }
struct uwsgi_plugin inside_plugin = { .name = "inside", .init = init };
"#;

#[test]
fn a_plugin_inside_uwsgis_tree_gets_our_header() {
    for foreign in ["#error the header of another server\n", ""] {
        let setup = Setup::new();
        tree(
            &setup,
            &[
                (
                    "t/plugins/inside/uwsgiplugin.py",
                    "NAME='inside'\nGCC_LIST=['inside']\n",
                ),
                ("t/plugins/inside/inside.c", INSIDE),
                (
                    "t/plugins/shared/shared.h",
                    "#include \"../../uwsgi.h\"\n#define SHARED \"hello\"\n",
                ),
            ],
        );
        if !foreign.is_empty() {
            tree(&setup, &[("t/uwsgi.h", foreign)]);
        }
        let built = build(setup.dir(), &["t/plugins/inside"]);
        assert!(built.status.success(), "{}", words(&built));
        let ended = setup.args(["--plugin", "./inside_plugin.so"]).run();
        assert!(ended.output.contains("INSIDE says hello from "), "{}", ended.output);
        assert!(ended.output.contains("t/plugins/inside/inside.c\n"), "{}", ended.output);
    }
}

#[test]
fn errors_inside_uwsgis_tree_name_the_real_file() {
    let setup = Setup::new();
    tree(
        &setup,
        &[
            ("t/uwsgi.h", ""),
            (
                "t/plugins/broken/uwsgiplugin.py",
                "NAME='broken'\nGCC_LIST=['broken']\n",
            ),
            ("t/plugins/broken/broken.c", "#include <uwsgi.h>\nnothing at all;\n"),
        ],
    );
    let built = build(setup.dir(), &["t/plugins/broken"]);
    assert!(!built.status.success());
    let file = setup.dir().join("t/plugins/broken/broken.c");
    let real = file.canonicalize().expect("it is there");
    assert!(
        words(&built).contains(&format!("{}:2:", real.display())),
        "{}",
        words(&built)
    );
}

#[test]
fn flags_are_split_as_a_shell_does() {
    let setup = Setup::new();
    let script = "from uwsgiconfig import spcall\nNAME='flags'\nCFLAGS=['-DONE=1 -DTWO=2', spcall('echo -DTHREE=3'), spcall('false')]\n\
                  CFLAGS.append('-DTEXT=\\\\\"a-b\\\\\"')\nLDFLAGS=[]\nLIBS=['-lm -lc']\nGCC_LIST=['flags']\n";
    let source = "#include <uwsgi.h>\nstatic int init(void) { uwsgi_log(\"FLAGS %d %s\\n\", ONE + TWO + THREE, TEXT); return 0; }\n\
                  struct uwsgi_plugin flags_plugin = { .name = \"flags\", .init = init };\n";
    tree(&setup, &[("flags/uwsgiplugin.py", script), ("flags/flags.c", source)]);
    let built = build(setup.dir(), &["flags"]);
    assert!(built.status.success(), "{}", words(&built));
    let ended = setup.args(["--plugin", "./flags_plugin.so"]).run();
    assert!(ended.output.contains("FLAGS 6 a-b\n"), "{}", ended.output);
}

#[test]
fn a_plugin_may_be_built_under_another_name() {
    let setup = Setup::new();
    let source = "#include <uwsgi.h>\nstatic int init(void) { uwsgi_log(\"NAMED\\n\"); return 0; }\n\
                  struct uwsgi_plugin first_plugin = { .name = \"first\", .init = init };\n";
    tree(&setup, &[("first.c", source)]);
    let built = build(setup.dir(), &["first.c", "core", "second"]);
    assert!(built.status.success(), "{}", words(&built));
    let ended = setup.args(["--plugins-dir", "@DIR@", "--plugin", "second"]).run();
    assert!(ended.output.contains("NAMED\n"), "{}", ended.output);
}

#[test]
fn what_is_missing_is_named() {
    let setup = Setup::new();
    tree(&setup, &[("folder/readme", ""), ("x.c", "#include <uwsgi.h>\n")]);
    let no_compiler = Command::new(program("uwsgiconfig"))
        .args(["--plugin", "x.c"])
        .env("CC", "/nowhere/gcc")
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(
        words(&no_compiler).contains("install one with: apt-get install gcc libc6-dev"),
        "{}",
        words(&no_compiler)
    );
    for (target, why) in [
        ("nowhere.c", "nowhere.c: no such source file or folder"),
        ("folder", "uwsgiplugin.py: missing"),
    ] {
        let output = build(setup.dir(), &[target]);
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains(why), "{}", words(&output));
    }
}

const COMPUTED: &str = r#"
import os, sys
NAME = 'computed'
CFLAGS = ["-DWORD='\"%s\"'" % 'told']
if sys.platform.startswith('linux'):
    CFLAGS += os.environ.get('COMPUTED_FLAGS', '-DOTHER=7').split()
try:
    LIBS = os.popen('pkg-config --libs no-such-library 2>/dev/null').read().rstrip().split()
except Exception:
    LIBS = []
GCC_LIST = ['computed']
BINARY_LIST = [('words', 'words.txt')]
os.system('touch was_run')
def post_build(config):
    os.system('touch was_run')
"#;

const COMPUTED_C: &str = r#"
#include <uwsgi.h>
extern char words_start[], words_end[];
static int init(void) {
    uwsgi_log("COMPUTED %s %d %.*s\n", WORD, OTHER, (int) (words_end - words_start), words_start);
    return 0;
}
struct uwsgi_plugin computed_plugin = { .name = "computed", .init = init };
"#;

#[test]
fn a_description_is_read_and_not_run() {
    let setup = Setup::new();
    tree(
        &setup,
        &[
            ("t/uwsgiplugin.py", COMPUTED),
            ("t/computed.c", COMPUTED_C),
            ("t/words.txt", "some words"),
        ],
    );
    let built = build(setup.dir(), &["t"]);
    assert!(built.status.success(), "{}", words(&built));
    assert!(
        words(&built).contains("t/uwsgiplugin.py:14: post_build is not run"),
        "{}",
        words(&built)
    );
    assert!(!setup.dir().join("was_run").exists() && !setup.dir().join("t/was_run").exists());
    let ended = setup.args(["--plugin", "./computed_plugin.so"]).run();
    assert!(
        ended.output.contains("COMPUTED told 7 some words\n"),
        "{}",
        ended.output
    );
}

#[test]
fn what_must_be_run_is_run_when_the_user_says_so() {
    let setup = Setup::new();
    let script = "NAME='computed'\nCFLAGS=open('flags').read().split()\nGCC_LIST=['computed']\nBINARY_LIST=[('words', 'words.txt')]\n";
    tree(
        &setup,
        &[
            ("t/uwsgiplugin.py", script),
            ("t/computed.c", COMPUTED_C),
            ("t/words.txt", "more"),
            ("t/flags", "-DWORD='\"run\"' -DOTHER=1"),
        ],
    );
    let refused = build(setup.dir(), &["t"]);
    assert!(!refused.status.success());
    assert!(
        words(&refused).contains("t/uwsgiplugin.py:2: open() cannot be told without running the file; if you trust it, set UWSGICONFIG_RUN_SCRIPTS=1"),
        "{}",
        words(&refused)
    );
    let built = build_trusted(setup.dir(), &["t"]);
    assert!(built.status.success(), "{}", words(&built));
}

const BUILT: &str = "import os, subprocess\n\
    NAME = 'built'\n\
    GCC_LIST = ['built']\n\
    def post_build(config):\n    \
        plugin = os.path.join(config.get('plugin_dir'), 'built_plugin.so')\n    \
        config.set('mine', 'seen')\n    \
        gcc_list, cflags, ldflags, libs = config.get_gcll()\n    \
        print(os.path.isfile(plugin), config.get('mine'), config.get('none', 'usual'), '-fPIC' in config.cflags,\n        \
            gcc_list + libs, os.path.isfile('t/built.c'))\n    \
        if subprocess.call('cp t/built.c copy.c', shell=True) != 0 or 'FAIL' in os.environ:\n        \
            os._exit(1)\n";

#[test]
fn post_build_runs_behind_the_compiler_for_those_who_trust_it() {
    let setup = Setup::new();
    let source = "#include <uwsgi.h>\nstruct uwsgi_plugin built_plugin = { .name = \"built\" };\n";
    tree(&setup, &[("t/uwsgiplugin.py", BUILT), ("t/built.c", source)]);
    let copy = setup.dir().join("copy.c");
    let wary = build(setup.dir(), &["t"]);
    assert!(wary.status.success() && !copy.exists(), "{}", words(&wary));
    let line = "t/uwsgiplugin.py:4: post_build is not run; if you trust the file, set UWSGICONFIG_RUN_SCRIPTS=1 and build again\n";
    assert!(words(&wary).contains(line), "{}", words(&wary));
    // values that are read, and values that only running tells
    for first in ["", "CFLAGS = open('built.c').read().split()[:0]\n"] {
        tree(&setup, &[("t/uwsgiplugin.py", &format!("{first}{BUILT}"))]);
        let trusting = build_trusted(setup.dir(), &["t", "core", "built"]);
        assert!(trusting.status.success(), "{}", words(&trusting));
        assert!(
            words(&trusting).contains("True seen usual True [] True\n"),
            "{}",
            words(&trusting)
        );
        std::fs::remove_file(&copy).expect("post_build has made it");
    }
    let failing = Command::new(program("uwsgiconfig"))
        .args(["--plugin", "t"])
        .envs([("UWSGICONFIG_RUN_SCRIPTS", "1"), ("FAIL", "1")])
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert_eq!(failing.status.code(), Some(1));
    assert!(
        words(&failing).contains("t/uwsgiplugin.py:5: post_build failed (its words stand above)\n"),
        "{}",
        words(&failing)
    );
}
