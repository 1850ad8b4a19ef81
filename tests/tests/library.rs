//! librsgi: the server inside of programs in C, linked and opened, with plugins that find the C API in it.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir, program};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const APP: &str = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'inside']\n";

const PLUGIN: &str = "#include <uwsgi.h>\n\
    static int init(void) { uwsgi_log(\"PLUGIN %s %d\\n\", uwsgi.version, 7); return 0; }\n\
    struct uwsgi_plugin small_plugin = { .name = \"small\", .init = init };\n";

const LINKED: &str = "#include <rsgi.h>\n#include <stdio.h>\n\
    int main(int argc, char *argv[], char *envp[]) {\n\
        int code = uwsgi_init(argc, argv, envp);\n\
        printf(\"AFTER %d %d\\n\", code, uwsgi_run());\n\
        return code;\n\
    }\n";

const OPENED: &str = "#include <dlfcn.h>\n#include <stdio.h>\n\
    int main(int argc, char *argv[]) {\n\
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);\n\
        if (!library) { puts(dlerror()); return 9; }\n\
        void (*setup)(int, char **, char **) = (void (*)(int, char **, char **)) dlsym(library, \"uwsgi_setup\");\n\
        int (*run)(void) = (int (*)(void)) dlsym(library, \"uwsgi_run\");\n\
        setup(argc - 1, argv + 1, NULL);\n\
        int code = run();\n\
        printf(\"AFTER %d\\n\", code);\n\
        return 0;\n\
    }\n";

/// Builds a program beside the library as it is installed, and a plugin.
fn compile(setup: Setup, source: &str) -> Setup {
    let setup = setup.file("host.c", source).file("small.c", PLUGIN);
    let library = build_dir().join("librsgi.so");
    for name in ["librsgi.so", "librsgi.so.1"] {
        std::os::unix::fs::symlink(&library, setup.dir().join(name)).expect("the folder is writable");
    }
    let built = Command::new("gcc")
        .args(["-Wall", "-Werror", "-I"])
        .arg(Path::new(TOP).join("librsgi/include"))
        .args(["-o", "host", "host.c"])
        .args(if source == LINKED {
            ["-L.", "-lrsgi", "-Wl,-rpath,$ORIGIN"]
        } else {
            ["-ldl", "-O1", "-g"]
        })
        .current_dir(setup.dir())
        .status()
        .expect("gcc can be run");
    assert!(built.success());
    let plugin = Command::new(program("uwsgiconfig"))
        .args(["--plugin", "small.c"])
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(plugin.status.success(), "{}", String::from_utf8_lossy(&plugin.stderr));
    let host = setup.dir().join("host");
    setup.program(host)
}

#[test]
fn a_program_is_a_server_reloads_and_goes_on_after_it() {
    let plugins = build_dir().display().to_string();
    let mut server = compile(Setup::new(), LINKED)
        .wsgi(APP)
        .args([
            "--plugins-dir",
            &plugins,
            "--plugin",
            "@DIR@/small_plugin.so",
            "--processes",
            "2",
        ])
        .start();
    assert_eq!(get(server.port(), "/").text(), "inside");
    assert!(
        server
            .log()
            .contains(&format!("PLUGIN {} 7\n", env!("CARGO_PKG_VERSION"))),
        "{}",
        server.log()
    );
    server.signal(libc::SIGHUP);
    server.wait_log("PLUGIN", 2);
    server.wait_log("WSGI app 0", 2);
    assert_eq!(get(server.port(), "/").text(), "inside");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    assert_eq!(log.matches("AFTER 0 0").count(), 1, "{log}");
}

#[test]
fn plugins_find_the_api_of_a_library_that_was_opened() {
    let mut server = compile(Setup::new(), OPENED)
        .args([
            "@DIR@/librsgi.so",
            "--http-socket",
            "127.0.0.1:0",
            "--plugin",
            "@DIR@/small_plugin.so",
        ])
        .args(["--static-map", "/=@DIR@", "--need-app=false"])
        .start();
    assert!(server.log().contains("PLUGIN"), "{}", server.log());
    assert!(get(server.port(), "/small.c").text().contains("small_plugin"));
    server.signal(libc::SIGTERM);
    server.wait_exit();
    assert_eq!(server.log().matches("AFTER 0").count(), 1, "{}", server.log());
}

#[test]
fn what_ends_the_start_comes_back_as_a_code() {
    let ended = compile(Setup::new(), LINKED).args(["--proceses", "2"]).run();
    assert!(ended.output.contains("did you mean"), "{}", ended.output);
    assert!(ended.output.contains("AFTER 1 1"), "{}", ended.output);
    assert_eq!(ended.code, 1);
    let ended = compile(Setup::new(), LINKED).args(["--version"]).run();
    assert!(ended.output.contains("AFTER 0 0"), "{}", ended.output);
}

#[test]
fn it_shows_the_api_and_three_functions() {
    let library = build_dir().join("librsgi.so");
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library)
        .output()
        .expect("nm can be run");
    let shown: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|l| l.split_whitespace().last().map(str::to_owned))
        .collect();
    let mut wanted: BTreeSet<String> = include_str!("../../core/exports.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(str::to_owned)
        .collect();
    for name in ["uwsgi_setup", "uwsgi_run", "uwsgi_init"] {
        wanted.insert(name.to_owned());
    }
    assert_eq!(
        wanted.difference(&shown).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not shown"
    );
    // what the shim in C calls in Rust
    wanted.insert("rsgi_log_verbose_str".into());
    assert_eq!(
        shown.difference(&wanted).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "shown, not listed"
    );
}
