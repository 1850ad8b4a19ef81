//! Remote procedures: from Python and C, in this process, in another instance, and over the wire.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, build_plugin, http};
use std::io::{Read, Write};

const FUNCTIONS: &str = r#"
uwsgi.register_rpc("join", lambda *a: b",".join(a))
uwsgi.register_rpc("big", lambda n: bytes(range(256)) * int(n))
uwsgi.register_rpc("nothing", lambda: None)
def fails(): raise ValueError("boom")
uwsgi.register_rpc("fails", fails)
uwsgi.register_rpc("again", lambda: uwsgi.call(b"join", b"from", b"within"))
"#;

fn app() -> String {
    format!("{EVAL_APP}{FUNCTIONS}")
}

fn with_socket(args: &[&str]) -> Server {
    let args = ["--socket", "127.0.0.1:0"].into_iter().chain(args.iter().copied());
    Setup::new().wsgi(&app()).args(args).start()
}

fn raw(port: u16, modifier2: u8, body: &[u8]) -> Vec<u8> {
    let mut stream = http::connect(port);
    let [low, high] = (body.len() as u16).to_le_bytes();
    stream.write_all(&[173, low, high, modifier2]).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn calls_within_a_process_come_back() {
    let server = with_socket(&["--threads", "2"]);
    assert_eq!(eval(&server, "uwsgi.call(b'join', b'a', b'\\x00', b'')"), "b'a,\\x00,'");
    assert_eq!(eval(&server, "uwsgi.rpc(None, b'join', b'a')"), "b'a'");
    assert_eq!(eval(&server, "uwsgi.call(b'again')"), "b'from,within'");
    assert_eq!(
        eval(&server, "[uwsgi.call(n) for n in (b'nothing', b'fails', b'nobody')]"),
        "[None, None, None]"
    );
    let in_thread = "r = []\nt = threading.Thread(target=lambda: r.append(uwsgi.call(b'again')))\nt.start(); t.join()";
    assert_eq!(eval(&server, in_thread), "[b'from,within']");
    let many = eval(&server, "uwsgi.call(b'join', *[b'x'] * 256)");
    assert!(many.starts_with("ValueError: unable to call rpc function"), "{many}");
    let long = eval(&server, "uwsgi.call(b'join', b'x' * 65536)");
    assert!(long.starts_with("ValueError: unable to call rpc function"), "{long}");
    assert!(server.log().contains("ValueError: boom"));
    assert!(eval(&server, "uwsgi.rpc_list()[:2]").contains("(b'join', b'big')"));
}

#[test]
fn another_instance_answers_short_and_long() {
    let peer = with_socket(&[]);
    let server = Setup::new().wsgi(EVAL_APP).start();
    let node = format!("'127.0.0.1:{}'", peer.port_of_socket(1));
    let ask = |call: &str| eval(&server, &format!("uwsgi.rpc({node}, {call})"));
    assert_eq!(ask("b'join', b'a', b'b'"), "b'a,b'");
    assert_eq!(ask("b'nobody'"), "None");
    assert_eq!(ask("b'fails'"), "None");
    let sizes =
        format!("[uwsgi.rpc({node}, b'big', n) == bytes(range(256)) * int(n) for n in (b'255', b'256', b'9000')]");
    assert_eq!(eval(&server, &sizes), "[True, True, True]");
    assert_eq!(ask("b'join', b'x' * 65535"), "None", "more than a packet holds");
    assert_eq!(eval(&server, "uwsgi.rpc('127.0.0.1:1', b'join')"), "None");
    assert!(
        server
            .log()
            .contains("unable to call rpc function \"join\": 127.0.0.1:1")
    );
}

#[test]
fn broken_packets_get_nothing_and_harm_nobody() {
    let server = with_socket(&["-p", "1"]);
    let port = server.port_of_socket(1);
    for body in [&b""[..], b"\x05\0ab", b"\x04\0join\x09", b"\0\0", b"\xff\xff"] {
        assert_eq!(raw(port, 0, body), b"", "{body:?}");
    }
    assert_eq!(raw(port, 0, b"\x04\0join\x01\0a"), b"\xad\x01\0\0a");
    assert_eq!(raw(port, 1, b"\x04\0join\x01\0a"), b"a");
    let xml = String::from_utf8_lossy(&raw(port, 3, b"")).into_owned();
    assert!(xml.contains("500 Internal Server Error"), "no XML here: {xml}");
    assert_eq!(eval(&server, "uwsgi.call(b'join', b'still')"), "b'still'");
}

#[test]
fn c_functions_are_procedures_too() {
    let source = r#"
#include <uwsgi.h>
static uint64_t twice(uint8_t argc, char **argv, uint16_t *argvs, char **response) {
    if (!argc) return 0;
    *response = uwsgi_concat2n(argv[0], argvs[0], argv[0], argvs[0]);
    return argvs[0] * 2;
}
static uint64_t run(void *f, uint8_t argc, char **argv, uint16_t *argvs, char **response) {
    return ((uint64_t (*)(uint8_t, char **, uint16_t *, char **)) f)(argc, argv, argvs, response);
}
static int request(struct wsgi_request *r) { return -1; }
extern struct uwsgi_plugin twicer_plugin;
static void init_apps() {
    uwsgi_register_rpc("twice", &twicer_plugin, 1, (void *) twice);
    char *argv[1] = { "ab" }; uint16_t argvs[1] = { 2 }; uint64_t len = 0;
    char *said = uwsgi_do_rpc(NULL, "twice", 1, argv, argvs, &len);
    uwsgi_log("TWICE %.*s\n", (int) len, said);
    free(said);
}
struct uwsgi_plugin twicer_plugin = { .name = "twicer", .modifier1 = 203, .request = request, .rpc = run,
    .init_apps = init_apps };
"#;
    let setup = Setup::new().wsgi(&app());
    let plugin = build_plugin(setup.dir(), "twicer.c", source);
    let plugin = plugin.display().to_string();
    let mut server = setup.args(["--plugin", &plugin, "-p", "1"]).start();
    server.wait_log("TWICE abab", 1);
    assert_eq!(eval(&server, "uwsgi.call(b'twice', b'xyz')"), "b'xyzxyz'");
    assert_eq!(eval(&server, "uwsgi.call(b'twice')"), "None");
}
