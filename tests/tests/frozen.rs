//! Plugins in binary form that were built against older headers: see `tests/frozen`.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use rsgi_tests::http::{get, post};
use rsgi_tests::{Server, Setup};

fn path(file: &str) -> String {
    format!("{}/frozen/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn serve(file: &str, modifier1: &str, args: &[&str]) -> Server {
    Setup::new()
        .args(["--need-plugin", &path(file), "--master", "-p", "2", "--threads", "2"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", modifier1])
        .args(args.iter().copied())
        .start()
}

#[test]
fn a_plugin_in_c_of_abi_1_0_serves() {
    let mut server = serve(
        "greeting_1_0.x86_64.so",
        "204",
        &["--frozen-greeting", "good day", "--frozen-loud"],
    );
    let port = server.port();
    let answer = get(port, "/path?query=1");
    assert_eq!(answer.text(), "good day GET /path?query=1!");
    assert_eq!(answer.header("X-Frozen"), Some("1.0"));
    assert_eq!(post(port, "/", b"a body").text(), "good day POST /! a body");
    server.wait_log("FROZEN status 200", 2);
    server.signal(libc::SIGHUP);
    server.wait_log("FROZEN post_fork in worker 2", 2);
    assert_eq!(get(port, "/again").text(), "good day GET /again!");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    let log = server.log();
    for line in ["FROZEN on_load\n", "FROZEN init good day\n", "FROZEN master_cleanup\n"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("newer rsgi"), "{log}");
}

#[test]
fn a_plugin_in_rust_of_abi_1_1_serves() {
    let mut server = serve("salute_1_1.x86_64.so", "205", &["--salute-word", "at ease"]);
    let answer = get(server.port(), "/path");
    assert_eq!(
        (answer.text().as_str(), answer.header("X-Salute")),
        ("at ease /path", Some("1.1"))
    );
    assert_eq!(get(server.port(), "/panic").status, 500);
    assert_eq!(get(server.port(), "/").text(), "at ease /");
    server.wait_log("salute: request: panicked: asked for it", 1);
    assert!(server.log().contains("SALUTE init"), "{}", server.log());
}

#[test]
fn they_are_small_and_say_what_they_are() {
    for (file, most, stamp) in [
        ("greeting_1_0.x86_64.so", 20_000, "1.0 (plugin 408"),
        ("salute_1_1.x86_64.so", 320_000, "1.1 (plugin 528"),
    ] {
        let size = std::fs::metadata(path(file)).unwrap().len();
        assert!(size < most, "{file}: {size}");
        let info = Setup::new().args(["--plugin-info", &path(file)]).run();
        assert!(info.output.contains(&format!("stamp      {stamp}")), "{}", info.output);
        assert!(info.output.contains("verdict    can be loaded"), "{}", info.output);
    }
}
