//! The binary promise: what was built against another 1.x of the header, what Rust plugins do, and the guard that
//! keeps the header compatible.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir, build_plugin, skipped};
use std::path::Path;
use std::process::{Command, Output};

const INCLUDE: &str = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include");
const HEADER: &str = include_str!("../../plugin-api/include/uwsgi.h");

/// Compiles sources of `tests/c` or of the folder into one shared object there.
fn gcc(dir: &Path, output: &str, flags: &[&str], sources: &[&str]) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let status = Command::new("gcc")
        .args(["-shared", "-fPIC", "-w", "-o", output, INCLUDE])
        .args(flags)
        .args(sources.iter().map(|s| match fixtures.join(s) {
            fixture if fixture.is_file() => fixture,
            _ => dir.join(s),
        }))
        .current_dir(dir)
        .status()
        .expect("gcc can be run");
    assert!(status.success());
}

#[test]
fn an_older_plugin_loads_and_what_it_lacks_is_not_called() {
    let setup = Setup::new();
    gcc(setup.dir(), "stamped.so", &["-DSIZE=48"], &["stamped.c"]);
    let mut server = setup
        .args(["--plugin", "./stamped.so"])
        .wsgi("def application(e, sr):\n    sr('200 OK', [])\n    return [b'served']\n")
        .start();
    assert_eq!(server.get("/").text(), "served");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    assert!(
        log.contains("STAMPED on_load\n") && log.contains("STAMPED init\n"),
        "{log}"
    );
    assert!(!log.contains("JUNK"), "{log}");
    assert!(!log.contains("newer rsgi"), "{log}");
}

#[test]
fn what_lies_behind_an_older_plugin_is_no_option_table() {
    let setup = Setup::new();
    gcc(setup.dir(), "stamped.so", &["-DSIZE=48"], &["stamped.c"]);
    let ended = setup.args(["--plugin", "./stamped.so", "--junk-option"]).run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(ended.output.contains("junk-option"), "{}", ended.output);
    assert!(!ended.output.contains("JUNK"), "{}", ended.output);
}

#[test]
fn a_newer_plugin_loads_and_the_log_says_so() {
    let setup = Setup::new();
    gcc(setup.dir(), "stamped.so", &["-DSIZE=544", "-DMINOR=9"], &["stamped.c"]);
    let ended = setup.args(["--plugin", "./stamped.so"]).run();
    assert!(ended.output.contains("STAMPED init\n"), "{}", ended.output);
    assert!(
        ended.output.contains("stamped.so: built for a newer rsgi"),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("JUNK"), "{}", ended.output);
}

#[test]
fn a_stamp_that_claims_more_than_there_is_does_no_harm() {
    let setup = Setup::new();
    gcc(setup.dir(), "stamped.so", &["-DSIZE=0x7fffffff"], &["stamped.c"]);
    let ended = setup.args(["--plugin", "./stamped.so"]).run();
    assert!(ended.output.contains("STAMPED init\n"), "{}", ended.output);
    assert!(!ended.output.contains("newer rsgi"), "{}", ended.output);
}

#[test]
fn objects_of_two_headers_in_one_file_are_refused() {
    let setup = Setup::new();
    gcc(
        setup.dir(),
        "constructor.so",
        &["-DSIZE=400", "-DWITH_HEADER"],
        &["stamped.c", "constructor.c"],
    );
    let ended = setup.args(["--need-plugin", "./constructor.so"]).run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended
            .output
            .contains("its objects were built against different versions of uwsgi.h"),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("CONSTRUCTOR RAN"), "{}", ended.output);
}

const NUMBERED: &str = r#"
#include <uwsgi.h>
extern struct uwsgi_plugin foo_plugin;
static int tries;
static int request(struct wsgi_request *wsgi_req) {
    char body[64];
    int n = snprintf(body, sizeof body, "mine %d, asked %d", foo_plugin.modifier1, wsgi_req->uh->modifier1);
    uwsgi_response_prepare_headers(wsgi_req, "200 OK", 6);
    return uwsgi_response_write_body_do(wsgi_req, body, n);
}
static void on_load(void) { uwsgi_log("LOADED %s as %d after %d calls\n", foo_plugin.name, foo_plugin.modifier1, tries); }
void prepare(void) { tries++; }
struct uwsgi_plugin foo_plugin = { .name = "foo", .modifier1 = 50, .on_load = on_load, .request = request };
"#;

#[test]
fn the_user_may_give_a_plugin_another_number() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "foo.c", NUMBERED);
    let server = setup
        .args(["--plugins-dir", "@DIR@", "--plugin", "7:foo"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "7"])
        .start();
    assert_eq!(get(server.port(), "/").text(), "mine 7, asked 7");
    assert!(
        server.log().contains("LOADED foo as 7 after 0 calls"),
        "{}",
        server.log()
    );
    let ended = Setup::new().args(["--need-plugin", "256:foo"]).run();
    assert!(ended.output.contains("bad modifier1 \"256\""), "{}", ended.output);
}

#[test]
fn a_function_named_behind_the_plugin_is_called_first() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "foo.c", NUMBERED);
    let ended = setup.args(["--plugin", "./foo_plugin.so|prepare"]).run();
    assert!(
        ended.output.contains("LOADED foo as 50 after 1 calls"),
        "{}",
        ended.output
    );
    let setup = Setup::new();
    build_plugin(setup.dir(), "foo.c", NUMBERED);
    let ended = setup.args(["--need-plugin", "./foo_plugin.so|nothing"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("has no function nothing"), "{}", ended.output);
}

#[test]
fn one_number_is_not_given_twice() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "foo.c", NUMBERED);
    build_plugin(setup.dir(), "bar.c", &NUMBERED.replace("foo", "bar"));
    let ended = setup
        .args(["--plugin", "./foo_plugin.so", "--need-plugin", "./bar_plugin.so"])
        .run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended
            .output
            .contains("its modifier1 50 is taken by the plugin foo; give it another one: --plugin N:bar"),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("LOADED bar"), "{}", ended.output);
}

#[test]
fn a_name_is_loaded_once() {
    let setup = Setup::new();
    let so = build_plugin(setup.dir(), "foo.c", NUMBERED);
    std::fs::copy(so, setup.dir().join("copy.so")).expect("the folder is writable");
    let ended = setup
        .args(["--plugin", "./foo_plugin.so", "--plugin", "./copy.so"])
        .args([
            "--plugin",
            "./foo_plugin.so",
            "--plugins-dir",
            "@DIR@",
            "--plugin",
            "foo",
        ])
        .run();
    assert_eq!(ended.output.matches("LOADED foo").count(), 1, "{}", ended.output);
}

/// A folder with a plugin that requires `base`.
fn dependent(setup: &Setup) {
    let folder = setup.dir().join("dependent");
    std::fs::create_dir(&folder).expect("the folder is writable");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("the folder is writable");
    write(
        "uwsgiplugin.py",
        "NAME='dependent'\nGCC_LIST=['dependent']\nREQUIRES=['base']\n",
    );
    write("dependent.c", &plain("dependent"));
    let built = uwsgiconfig(setup.dir(), "dependent");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn plain(name: &str) -> String {
    format!(
        "#include <uwsgi.h>\nstatic void on_load(void) {{ uwsgi_log(\"LOADED {name}\\n\"); }}\n\
         struct uwsgi_plugin {name}_plugin = {{ .name = \"{name}\", .on_load = on_load }};\n"
    )
}

fn uwsgiconfig(dir: &Path, source: &str) -> Output {
    Command::new(build_dir().join("uwsgiconfig"))
        .args(["--plugin", source])
        .current_dir(dir)
        .output()
        .expect("uwsgiconfig can be run")
}

#[test]
fn what_a_plugin_requires_is_loaded_before_it() {
    let setup = Setup::new();
    dependent(&setup);
    build_plugin(setup.dir(), "base.c", &plain("base"));
    let ended = setup.args(["--plugins-dir", "@DIR@", "--plugin", "dependent"]).run();
    assert!(
        ended.output.contains("LOADED base\nLOADED dependent\n"),
        "{}",
        ended.output
    );
}

#[test]
fn a_plugin_whose_requirement_is_missing_is_refused() {
    let setup = Setup::new();
    dependent(&setup);
    let ended = setup
        .args(["--plugins-dir", "@DIR@", "--need-plugin", "dependent"])
        .run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended
            .output
            .contains("requires the plugin base, which cannot be loaded: "),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("LOADED"), "{}", ended.output);
}

#[test]
fn a_panic_in_a_rust_plugin_costs_one_answer() {
    let library = build_dir().join("librsgi_panics.so");
    let mut server = Setup::new()
        .args(["--need-plugin", library.to_str().expect("the path is text")])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "202"])
        .start();
    let (_, worker) = server.workers()[0];
    assert_eq!(get(server.port(), "/").text(), "calm");
    assert_eq!(get(server.port(), "/panic").status, 500);
    server.wait_log("rsgi-tests-panics: request: panicked: asked for it", 1);
    assert_eq!(get(server.port(), "/error").status, 500);
    server.wait_log("rsgi-tests-panics: request: asked to fail", 1);
    assert_eq!(get(server.port(), "/").text(), "calm");
    assert_eq!(server.workers(), [(1, worker)], "the worker lives");
}

/// Runs the guard over a header; `None` without its tools.
fn guard(header: &str) -> Option<Output> {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !(has("abidw") && has("abidiff") && cfg!(target_arch = "x86_64")) {
        skipped("the ABI guard needs abigail-tools (apt-get install abigail-tools) and its baseline");
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let file = dir.path().join("changed.h");
    std::fs::write(&file, header).expect("the folder is writable");
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/abi/check.sh"))
        .arg(&file)
        .output()
        .expect("the script can be run");
    Some(output)
}

#[test]
fn the_header_is_compatible_with_its_baseline() {
    let Some(output) = guard(HEADER) else { return };
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

#[test]
fn the_guard_lets_structs_grow_at_their_end_only() {
    let edit = |from: &str, to: &str| {
        assert_eq!(HEADER.matches(from).count(), 1, "{from}");
        HEADER.replace(from, to)
    };
    let last = "    void (*on_exit)(void);";
    // the spare words at the end of the largest struct: they become fewer as fields come
    let server = HEADER
        .split("struct uwsgi_server {")
        .nth(1)
        .expect("the struct is there");
    let words = server
        .split("    uint64_t reserved[")
        .nth(1)
        .expect("it has spare words");
    let spare: usize = words.split(']').next().and_then(|n| n.parse().ok()).expect("a number");
    let (words, fewer) = (
        format!("    uint64_t reserved[{spare}];"),
        format!("    uint64_t newer; uint64_t reserved[{}];", spare - 1),
    );
    let cases = [
        (true, "a new hook", edit(last, &format!("{last} void (*newer)(void);"))),
        (true, "a spare slot", edit(&words, &fewer)),
        (
            false,
            "a hook in the middle",
            edit("    void (*suspend)(", "    void (*newer)(void);\n    void (*suspend)("),
        ),
        (
            false,
            "another type of a hook",
            edit("    int (*worker)(void);", "    long (*worker)(void);"),
        ),
        (
            false,
            "another type of a field",
            edit("    uint16_t method_len;", "    uint32_t method_len;"),
        ),
        (
            false,
            "a field that has gone",
            edit("    struct iovec *hvec;", "    struct iovec *renamed;"),
        ),
        (
            false,
            "another parameter",
            edit(
                "int uwsgi_num2str2(int, char *buf);",
                "int uwsgi_num2str2(long, char *buf);",
            ),
        ),
        (
            false,
            "growth of a struct inside another",
            edit("    int reserved[9];", "    int reserved[9]; int newer;"),
        ),
    ];
    for (fine, what, header) in cases {
        let Some(output) = guard(&header) else { return };
        let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), fine, "{what}: {words}");
    }
}
