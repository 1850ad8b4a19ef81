//! The first commands of a new user, as the README gives them, on ports of the kernel's choice.

use rsgi_tests::http::{exchange, get, uwsgi_packet};
use rsgi_tests::{Setup, build_plugin};
use std::io::{Read, Write};

const BOOTSTRAP: &str = "
def application(env, start_response):
    start_response('200 OK', [('Content-Type','text/html')])
    return [b\"Hello\", b\"World\"]
";

fn is_hello(answer: &rsgi_tests::http::Response) {
    assert_eq!((answer.status, answer.text().as_str()), (200, "HelloWorld"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
}

#[test]
fn the_gateway_with_four_processes_and_two_threads() {
    let mut server = Setup::new()
        .file("bootstrap.py", BOOTSTRAP)
        .args([
            "--http",
            "127.0.0.1:0",
            "--wsgi-file",
            "bootstrap.py",
            "--master",
            "--processes",
            "4",
            "--threads",
            "2",
        ])
        .start();
    is_hello(&get(server.gateway_port(), "/"));
    server.wait_log("cores: 2)", 4);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn the_same_from_xml_and_from_ini() {
    let xml = "<uwsgi>\n\t<http-socket>127.0.0.1:0</http-socket>\n\t<module>bootstrap</module>\n\t<workers>4</workers>\n\t<threads>2</threads>\n</uwsgi>\n";
    let ini = "[uwsgi]\nhttp-socket = 127.0.0.1:0\nwsgi-file = bootstrap.py\nworkers = 4\nthreads = 2\n";
    for args in [
        ["--xml", "uwsgi.xml"],
        ["--xmlconfig", "uwsgi.xml"],
        ["--ini", "uwsgi.ini"],
        ["uwsgi.xml", "--master"],
        ["uwsgi.ini", "--master"],
    ] {
        let mut server = Setup::new()
            .file("bootstrap.py", BOOTSTRAP)
            .file("uwsgi.xml", xml)
            .file("uwsgi.ini", ini)
            .args(args)
            .start();
        server.wait_log("cores: 2)", 4);
        is_hello(&server.get("/"));
    }
}

#[test]
fn options_come_from_the_environment_too() {
    let server = Setup::new()
        .file("bootstrap.py", BOOTSTRAP)
        .env("UWSGI_HTTP_SOCKET", "127.0.0.1:0")
        .env("UWSGI_WSGI_FILE", "bootstrap.py")
        .start();
    is_hello(&server.get("/"));
}

#[test]
fn a_c_plugin_beside_an_application() {
    let source = "#include <uwsgi.h>\n\nstatic int foo_init() {\n      uwsgi_log(\"Hello World\\n\");\n      return 0;\n}\n\nstruct uwsgi_plugin foobar_plugin = {\n        .name = \"foobar\",\n        .init = foo_init,\n};\n";
    let setup = Setup::new().file("bootstrap.py", BOOTSTRAP);
    build_plugin(setup.dir(), "foobar.c", source);
    let server = setup
        .args([
            "--plugin",
            "./foobar_plugin.so",
            "--http",
            "127.0.0.1:0",
            "--wsgi-file",
            "bootstrap.py",
        ])
        .start();
    assert_eq!(server.log().matches("Hello World\n").count(), 1);
    is_hello(&get(server.gateway_port(), "/"));
}

#[test]
fn the_uwsgi_protocol_over_tcp_and_unix_sockets() {
    let server = Setup::new()
        .file("bootstrap.py", BOOTSTRAP)
        .args([
            "--socket",
            "127.0.0.1:0",
            "--socket",
            "@DIR@/u.sock",
            "--wsgi-file",
            "bootstrap.py",
        ])
        .start();
    let packet = uwsgi_packet(
        0,
        &[
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SCRIPT_NAME", ""),
            ("QUERY_STRING", ""),
        ],
    );
    is_hello(&exchange(server.port(), &packet));
    let mut unix = std::os::unix::net::UnixStream::connect(server.dir().join("u.sock")).unwrap();
    unix.write_all(&packet).unwrap();
    let mut answer = String::new();
    unix.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHelloWorld"),
        "{answer}"
    );
}

#[test]
fn a_lua_application_says_hello() {
    let app = "return function(env)\n  return 200, { [\"Content-Type\"] = \"text/plain\" }, coroutine.wrap(function()\n    coroutine.yield(\"hello \")\n    coroutine.yield(env.PATH_INFO)\n  end)\nend\n";
    let server = Setup::new()
        .file("app.lua", app)
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--http-socket-modifier1",
            "6",
            "--lua",
            "@DIR@/app.lua",
        ])
        .start();
    assert_eq!(server.get("/lua").text(), "hello /lua");
}

#[test]
fn mistakes_on_the_command_line_get_a_suggestion() {
    let ended = Setup::new().args(["--http-soket", ":80"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("did you mean '--http-socket'"),
        "{}",
        ended.output
    );
    let ended = Setup::new().args(["--http-socket", "127.0.0.1:99999"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("99999"), "{}", ended.output);
    let ended = Setup::new().args(["--processes", "abc"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("\"abc\""), "{}", ended.output);
}

#[test]
fn an_unknown_key_of_a_file_warns_with_its_place_and_strict_refuses() {
    let ini = "[uwsgi]\nhttp-socket = 127.0.0.1:0\nwsgi-file = bootstrap.py\nvaccum = true\n";
    let server = Setup::new()
        .file("bootstrap.py", BOOTSTRAP)
        .file("a.ini", ini)
        .args(["--ini", "a.ini"])
        .start();
    let log = server.log();
    assert!(log.contains("a.ini:4") && log.contains("vacuum"), "{log}");
    let ended = Setup::new()
        .file("bootstrap.py", BOOTSTRAP)
        .file("a.ini", ini)
        .args(["--ini", "a.ini", "--strict"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("[strict-mode] unknown config directive: vaccum"),
        "{}",
        ended.output
    );
}

#[test]
fn help_knows_the_options_of_plugins() {
    let ended = Setup::new().args(["--help", "wsgi-file"]).run();
    assert_eq!(ended.code, 0);
    assert!(ended.output.contains("--wsgi-file"), "{}", ended.output);
}
