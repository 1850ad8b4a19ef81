//! What `--plugin-info`, `--plugins-list` and `--check-config` say of plugins, with nothing of them executed.

use rsgi_tests::{Ended, Setup, build_plugin};
use std::process::Command;

const EVERYTHING: &str = r#"
#include <uwsgi.h>
UWSGI_PLUGIN_REQUIRES
__attribute__((constructor)) static void constructed(void) { fputs("CODE OF IT RAN\n", stderr); }
static ssize_t sink(struct uwsgi_logger *l, char *text, size_t len) { (void) l; (void) text; return len; }
static int request(struct wsgi_request *req) { (void) req; return UWSGI_OK; }
static int mule_msg(char *text, size_t len) { (void) text; (void) len; return 0; }
static void on_load(void) { uwsgi_register_logger("sink", sink); }
static struct uwsgi_option options[] = {
    { "every-name", required_argument, 0, "a name", uwsgi_opt_set_str, NULL, 0 },
    { "every-flag", no_argument, 0, "a flag", uwsgi_opt_true, NULL, 0 },
    UWSGI_END_OF_OPTIONS
};
struct uwsgi_plugin everything_plugin = {
    .name = "everything", .modifier1 = 77, .options = options, .on_load = on_load, .request = request, .mule_msg = mule_msg,
};
"#;

fn info(setup: Setup, name: &str) -> Ended {
    setup.args(["--plugin-info", name]).run()
}

/// The text behind a heading.
fn row<'t>(text: &'t str, what: &str) -> &'t str {
    let found = text.lines().find_map(|l| l.trim_start().strip_prefix(what));
    found.unwrap_or_else(|| panic!("no {what} in {text}")).trim()
}

#[test]
fn a_plugin_is_described_without_running_it() {
    let setup = Setup::new();
    build_plugin(
        setup.dir(),
        "everything.c",
        &EVERYTHING.replace("UWSGI_PLUGIN_REQUIRES", ""),
    );
    let ended = info(setup, "./everything_plugin.so");
    assert_eq!(ended.code, 0, "{}", ended.output);
    let text = &ended.output;
    assert!(!text.contains("CODE OF IT RAN"), "{text}");
    assert_eq!(row(text, "name"), "everything");
    assert_eq!(row(text, "kind"), "request (modifier1 77), mule, logger");
    assert_eq!(row(text, "hooks"), "on_load request mule_msg");
    assert_eq!(row(text, "stamp"), row(text, "this rsgi"));
    assert!(row(text, "calls").contains("uwsgi_register_logger"));
    assert!(row(text, "libraries").contains("libc.so.6"));
    assert_eq!(row(text, "verdict"), "can be loaded");
    assert_eq!(row(text, "--every-name VALUE"), "a name");
    assert_eq!(row(text, "--every-flag"), "a flag");
}

#[test]
fn names_are_looked_up_and_rust_is_seen() {
    for (name, kind) in [
        ("lua", "request (modifier1 6), worker loop"),
        ("http", "gateway"),
        ("redislog", "logger"),
    ] {
        let ended = info(Setup::new(), name);
        assert_eq!(ended.code, 0, "{}", ended.output);
        assert!(row(&ended.output, "kind").starts_with(kind), "{}", ended.output);
        assert_eq!(row(&ended.output, "written in"), "Rust, with rsgi-plugin-api");
    }
}

#[test]
fn what_the_host_lacks_is_named() {
    let setup = Setup::new();
    let source = EVERYTHING
        .replace("UWSGI_PLUGIN_REQUIRES", "int uwsgi_nobody_has_this(void);")
        .replace("return UWSGI_OK;", "return uwsgi_nobody_has_this();");
    build_plugin(setup.dir(), "everything.c", &source);
    let ended = info(setup, "./everything_plugin.so");
    assert_eq!(
        row(&ended.output, "verdict"),
        "cannot be loaded: this rsgi has no uwsgi_nobody_has_this"
    );
}

#[test]
fn what_is_refused_is_refused_here_too() {
    let uwsgis = "/usr/lib/uwsgi/plugins/python3_plugin.so";
    for (name, why) in [
        ("./text_plugin.so", "not an ELF file"),
        ("nowhere", "No such file"),
        (
            uwsgis,
            if std::path::Path::new(uwsgis).exists() {
                "carries no rsgi stamp"
            } else {
                "No such file"
            },
        ),
    ] {
        let ended = info(Setup::new().file("text_plugin.so", "text"), name);
        assert_eq!(ended.code, 1, "{}", ended.output);
        assert!(ended.output.contains(why), "{}", ended.output);
        assert_eq!(ended.output.lines().count(), 1, "{}", ended.output);
    }
}

#[test]
fn a_check_says_what_the_start_would() {
    let check = |setup: Setup, plugin: &str| setup.args(["--plugin", plugin, "--check-config"]).run();
    let setup = Setup::new();
    build_plugin(
        setup.dir(),
        "everything.c",
        &EVERYTHING.replace("UWSGI_PLUGIN_REQUIRES", ""),
    );
    let fine = check(setup, "./everything_plugin.so");
    assert_eq!(fine.code, 0, "{}", fine.output);
    assert!(
        fine.output.contains("the configuration has no mistake"),
        "{}",
        fine.output
    );
    let missing = check(Setup::new(), "./nowhere_plugin.so");
    assert_eq!(missing.code, 1, "{}", missing.output);
    assert!(missing.output.contains("nowhere_plugin.so"), "{}", missing.output);
    assert!(!missing.output.contains("no mistake"), "{}", missing.output);
}

#[test]
fn the_list_shows_what_is_loaded_and_what_is_there() {
    let folder = rsgi_tests::build_dir();
    let output = Command::new(rsgi_tests::program("rsgi"))
        .args([
            "--plugins-dir",
            folder.to_str().expect("UTF-8"),
            "--plugin",
            "lua",
            "--plugins-list",
        ])
        .output()
        .expect("rsgi can be run");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (loaded, there) = text.split_once("not loaded").unwrap_or_else(|| panic!("{text}"));
    assert!(loaded.contains("6: lua"), "{text}");
    assert!(
        there.contains("redislog") && there.contains("http") && !there.contains("\nlua"),
        "{text}"
    );
}
