//! What `make install` leaves: a tree that works where it lies, found by pkg-config, with nothing of the build in it.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir};
use std::path::Path;
use std::process::Command;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn make_install(variables: &[String]) {
    let output = Command::new("make")
        .args(["-s", "install"])
        .arg(format!("RELEASE={}", build_dir().display()))
        .args(variables)
        .current_dir(TOP)
        .output()
        .expect("make can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn pkg_config(prefix: &Path, question: &str) -> String {
    let output = Command::new("pkg-config")
        .args([question, "rsgi"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .expect("pkg-config can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn packagers_find_everything_in_its_place() {
    let root = tempfile::tempdir().expect("a temporary folder can be made");
    make_install(&[format!("DESTDIR={}", root.path().display()), "PREFIX=/usr".into()]);
    for file in [
        "bin/rsgi",
        "bin/uwsgiconfig",
        "include/rsgi/uwsgi.h",
        "lib/pkgconfig/rsgi.pc",
        "lib/rsgi/plugins/graylog2_plugin.so",
        "lib/rsgi/plugins/http_plugin.so",
        "lib/rsgi/plugins/lua_plugin.so",
        "lib/rsgi/plugins/python_plugin.so",
        "lib/rsgi/plugins/python_abi3.so",
        "lib/rsgi/plugins/redislog_plugin.so",
        "lib/rsgi/plugins/rsyslog_plugin.so",
        "lib/rsgi/plugins/systemd_logger_plugin.so",
        "share/doc/rsgi/README.md",
        "share/man/man1/rsgi.1",
    ] {
        let path = root.path().join("usr").join(file);
        let size = std::fs::metadata(&path).map_or(0, |m| m.len());
        assert!(size > 0, "{} is missing or empty", path.display());
    }
    let pc = std::fs::read_to_string(root.path().join("usr/lib/pkgconfig/rsgi.pc")).expect("it is there");
    assert!(pc.contains("prefix=/usr\n") && !pc.contains('@'), "{pc}");
    assert!(!pc.contains(&root.path().display().to_string()), "{pc}");
}

#[test]
fn an_installed_tree_serves_and_hosts_plugins_built_with_pkg_config() {
    let setup = Setup::new().file(
        "greet.c",
        "#include <uwsgi.h>\nstatic int init(void) { uwsgi_log(\"installed plugin in rsgi %s\\n\", uwsgi.version); return 0; }\n\
         struct uwsgi_plugin greet_plugin = { .name = \"greet\", .init = init };\n",
    );
    let prefix = setup.dir().join("opt");
    make_install(&[format!("PREFIX={}", prefix.display())]);
    let version = pkg_config(&prefix, "--modversion");
    let plugins = pkg_config(&prefix, "--variable=plugindir");
    let build = format!(
        "gcc -shared -fPIC {} -o {plugins}/greet_plugin.so greet.c",
        pkg_config(&prefix, "--cflags")
    );
    let built = Command::new("sh")
        .args(["-c", &build])
        .current_dir(setup.dir())
        .status()
        .expect("sh can be run");
    assert!(built.success(), "{build}");
    let mut server = setup
        .program(prefix.join("bin/rsgi"))
        .args(["--plugin", "greet", "--http", "127.0.0.1:0"])
        .file(
            "app.py",
            "def application(e, sr):\n    sr('200 OK', [])\n    return [b'installed']\n",
        )
        .args(["--wsgi-file", "@DIR@/app.py", "--master"])
        .start();
    server.wait_log("spawned rsgi http 1", 1);
    assert_eq!(get(server.gateway_port(), "/").text(), "installed");
    assert!(
        server.log().contains(&format!("installed plugin in rsgi {version}\n")),
        "{}",
        server.log()
    );
}
