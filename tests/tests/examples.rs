//! The files of `examples/` do what they say.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir, program};
use std::process::Command;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

#[test]
fn the_ini_and_the_xml_serve_the_application() {
    for (option, file) in [("--ini", "hello.ini"), ("--xml", "hello.xml")] {
        let text = std::fs::read_to_string(format!("{EXAMPLES}/{file}")).expect("it is there");
        assert_eq!(text.matches("127.0.0.1:9090").count(), 1, "{file}");
        let app = include_str!("../../examples/hello.py");
        let mut server = Setup::new()
            .file(file, &text.replace(":9090", ":0"))
            .file("hello.py", app)
            .args([option, file])
            .start();
        server.wait_workers(4, &[]);
        assert_eq!(server.get("/").text(), "Hello from rsgi\n", "{file}");
        assert!(server.log().contains("cores: 2)"), "{file}: {}", server.log());
    }
}

#[test]
fn the_plugin_in_c_greets() {
    let setup = Setup::new();
    let built = Command::new(program("uwsgiconfig"))
        .args(["--plugin", &format!("{EXAMPLES}/c/foobar.c")])
        .env("CFLAGS", "-Werror")
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let server = setup
        .args(["--plugin", "./foobar_plugin.so", "--foobar-greeting", "Good day"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "180"])
        .start();
    assert!(server.log().contains("Good day World\n"), "{}", server.log());
    assert_eq!(get(server.port(), "/here").text(), "Good day from /here\n");
}

#[test]
fn the_plugin_in_rust_greets() {
    let library = build_dir().join("libgreeter_plugin.so");
    let library = library.to_str().expect("the path is text");
    let server = Setup::new()
        .args(["--plugin", library, "--greeting", "Welcome"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "181"])
        .start();
    assert!(server.log().contains("the greeter says Welcome\n"), "{}", server.log());
    assert_eq!(get(server.port(), "/there").text(), "Welcome from /there\n");
    let twice = Setup::new()
        .args(["--plugin", library, "--greeting", "a", "--greeting", "b"])
        .run();
    assert_eq!(twice.code, 1, "{}", twice.output);
    assert!(
        twice.output.contains("greeting: --greeting may be given once"),
        "{}",
        twice.output
    );
}
