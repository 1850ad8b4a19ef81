//! Caches: what survives the death of workers, a reload and the end of the server; caches of other instances; files.

use rsgi_tests::python::{EVAL_APP, eval};
use rsgi_tests::{Server, Setup, build_plugin, http, send, wait_for};
use std::io::{Read, Write};

const ONE: &str = "name=one,items=20,blocksize=64";

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(EVAL_APP).args(args.iter().copied()).start()
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn a_cache_outlives_workers_and_reloads() {
    let mut server = serve(&["--cache2", ONE, "-p", "1"]);
    assert_eq!(eval(&server, "uwsgi.cache_set('k', 'kept')"), "True");
    let first = number(&eval(&server, "os.getpid()"));
    send(first, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(eval(&server, "uwsgi.cache_get('k')"), "b'kept'");
    let second = number(&eval(&server, "os.getpid()"));
    server.signal(libc::SIGHUP);
    wait_for("a worker of the new image", || {
        (number(&eval(&server, "os.getpid()")) != second).then_some(())
    });
    assert_eq!(eval(&server, "uwsgi.cache_get('k')"), "b'kept'");
    server.wait_log("*** Cache \"one\" taken over", 1);
    assert_eq!(eval(&server, "uwsgi.cache_update('k', 'new')"), "True");
}

#[test]
fn a_cache_of_other_numbers_begins_empty_after_a_reload() {
    let setup = Setup::new().wsgi(EVAL_APP);
    let setup = setup.file(
        "c.ini",
        "[uwsgi]\ncache2 = name=one,items=20,blocksize=64\nprocesses = 1\n",
    );
    let mut server = setup.args(["--ini", "@DIR@/c.ini"]).start();
    assert_eq!(eval(&server, "uwsgi.cache_set('k', 'old')"), "True");
    let before = number(&eval(&server, "os.getpid()"));
    let ini = "[uwsgi]\ncache2 = name=one,items=30,blocksize=64\nprocesses = 1\n";
    std::fs::write(server.dir().join("c.ini"), ini).unwrap();
    server.signal(libc::SIGHUP);
    wait_for("a worker of the new image", || {
        (number(&eval(&server, "os.getpid()")) != before).then_some(())
    });
    assert_eq!(eval(&server, "uwsgi.cache_get('k')"), "None");
    server.wait_log("*** Cache \"one\" initialized", 2);
}

#[test]
fn workers_killed_inside_cache_set_leave_whole_values() {
    let server = serve(&[
        "--cache2",
        "name=one,items=30,blocks=200,blocksize=64,bitmap=1",
        "-p",
        "3",
    ]);
    // a thread of each worker that is asked writes for ever; each value says for which key it was made
    let write = "import random\n\
        def work():\n    \
            while True:\n        \
                n = random.randrange(25); b = random.randrange(256)\n        \
                uwsgi.cache_update('k%d' % n, bytes([n, b]) + bytes([b]) * random.randrange(400))\n\
        t = threading.Thread(target=work, daemon=True); t.start(); r = os.getpid()";
    let whole = "vs = [(n, uwsgi.cache_get('k%d' % n)) for n in range(25)]\n\
        r = [n for n, v in vs if v is not None and (v[0] != n or v[2:] != v[1:2] * (len(v) - 2))]";
    for round in 0..12 {
        let pid = number(&eval(&server, write));
        std::thread::sleep(std::time::Duration::from_millis(5 + round * 3));
        send(pid, libc::SIGKILL);
        assert_eq!(eval(&server, whole), "[]");
    }
    assert_eq!(eval(&server, "uwsgi.cache_set('after', 'x' * 3000)"), "True");
}

#[test]
fn a_file_keeps_a_cache_over_the_death_of_everything() {
    let setup = || Setup::new().wsgi(EVAL_APP);
    let first = setup();
    let file = first.dir().join("cache.store");
    let kept = std::env::temp_dir().join(format!("rsgi-cache-{}", std::process::id()));
    let option =
        |file: &std::path::Path, items: u32| format!("name=one,items={items},blocksize=64,store={}", file.display());
    let args = option(&file, 20);
    let server = first.args(["--cache2", &args, "-p", "2"]).start();
    for n in 0..20 {
        assert_eq!(
            eval(&server, &format!("uwsgi.cache_set('k{n}', 'v{n}' * {n} + 'x', 1000)")),
            "True"
        );
    }
    assert_eq!(eval(&server, "uwsgi.cache_del('k7')"), "True");
    assert_eq!(eval(&server, "uwsgi.cache_update('k8', 'replaced')"), "True");

    // while it runs, nobody else may have the file
    let ended = setup().args(["--cache2", &args]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("another server uses it"), "{}", ended.output);

    for (_, pid) in server.workers() {
        send(pid, libc::SIGKILL);
    }
    send(server.pid(), libc::SIGKILL);
    std::fs::rename(&file, &kept).unwrap();
    drop(server);

    let mut again = setup().args(["--cache2", &option(&kept, 20)]).start();
    again.wait_log("cache \"one\": 19 items of", 1);
    assert_eq!(eval(&again, "uwsgi.cache_get('k3')"), "b'v3v3v3x'");
    assert_eq!(
        eval(&again, "(uwsgi.cache_get('k7'), uwsgi.cache_get('k8'))"),
        "(None, b'replaced')"
    );
    again.signal(libc::SIGTERM);
    again.wait_exit();

    // what the disk has lost is dropped, the rest is kept
    let mut bytes = std::fs::read(&kept).unwrap();
    let at = bytes
        .windows(8)
        .position(|w| w == b"v3v3v3x\0")
        .expect("the value lies in the file");
    bytes[at] = b'!';
    std::fs::write(&kept, bytes).unwrap();
    let mut torn = setup().args(["--cache2", &option(&kept, 20)]).start();
    torn.wait_log("cache \"one\": 18 items of", 1);
    assert_eq!(
        eval(&torn, "(uwsgi.cache_get('k3'), uwsgi.cache_get('k4'))"),
        "(None, b'v4v4v4v4x')"
    );
    torn.signal(libc::SIGTERM);
    torn.wait_exit();

    let ended = setup().args(["--cache2", &option(&kept, 21)]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("cannot use its store"), "{}", ended.output);
    let ended = setup()
        .args(["--cache2", &format!("{},keysize=2040", option(&kept, 20))])
        .run();
    assert_eq!(ended.code, 1);
    let _ = std::fs::remove_file(&kept);
}

#[test]
fn a_cache_of_another_instance_is_asked_by_name_and_address() {
    let peer = serve(&[
        "--cache2",
        "name=one,items=20,blocksize=2000",
        "--socket",
        "127.0.0.1:0",
    ]);
    let server = serve(&[]);
    let at = format!("'one@127.0.0.1:{}'", peer.port_of_socket(1));
    let ask = |call: &str| eval(&server, &format!("uwsgi.cache_{call}").replace('@', &at));
    assert_eq!(ask("set('k', 'a' * 1500, 0, @)"), "True");
    assert_eq!(ask("set('k', 'b', 0, @)"), "None");
    assert_eq!(ask("get('k', @) == b'a' * 1500"), "True");
    assert_eq!(ask("update('k', 'c', 100, @)"), "True");
    assert_eq!(ask("get('k', @)"), "b'c'");
    assert_eq!(ask("inc('n', 5, 0, @)"), "True");
    assert_eq!(ask("mul('n', -3, 0, @)"), "True");
    assert_eq!(ask("num('n', @)"), "-15");
    assert_eq!(eval(&peer, "uwsgi.cache_num('n')"), "-15");
    assert_eq!(ask("del('k', @)"), "True");
    assert_eq!(ask("exists('k', @)"), "None");
    assert_eq!(ask("clear(@)"), "True");
    assert_eq!(eval(&peer, "uwsgi.cache_keys()"), "[]");
    assert_eq!(eval(&server, "uwsgi.cache_get('k', 'nope@127.0.0.1:1')"), "None");
    assert!(server.log().contains("cache nope@127.0.0.1:1"));
}

#[test]
fn packets_are_answered_as_other_servers_expect() {
    let server = serve(&["--cache2", ONE, "--socket", "127.0.0.1:0"]);
    let port = server.port_of_socket(1);
    let ask = |modifier2: u8, packet: &[u8], body: &[u8]| {
        let mut stream = http::connect(port);
        let [low, high] = (packet.len() as u16).to_le_bytes();
        stream.write_all(&[111, low, high, modifier2]).unwrap();
        stream.write_all(packet).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let set = b"\x03\0cmd\x03\0set\x03\0key\x01\0k\x04\0size\x05\x005     ";
    assert_eq!(ask(17, &set[..28], b"hello"), b"", "a size that is none");
    let set = b"\x03\0cmd\x03\0set\x03\0key\x01\0k\x04\0size\x01\x005";
    assert_eq!(ask(17, set, b"hello"), b"o\x0c\0\x11\x06\0status\x02\0ok");
    assert_eq!(ask(17, set, b"again"), b"");
    let get = b"\x03\0cmd\x03\0get\x03\0key\x01\0k";
    assert_eq!(
        ask(17, get, b""),
        b"o\x15\0\x11\x06\0status\x02\0ok\x04\0size\x01\x005hello"
    );
    assert_eq!(ask(17, b"\x03\0cmd\x05\0bogus\x03\0key\x01\0k", b""), b"");
    assert_eq!(ask(0, b"k", b""), b"o\x05\0\0hello");
    assert_eq!(ask(0, b"none", b""), b"");
    assert_eq!(ask(5, b"k", b""), b"o\0\0\x01hello");
    assert_eq!(ask(5, b"none", b""), b"o\0\0\0");
    assert_eq!(ask(3, b"\x03\0key\x01\0k", b""), b"hello");
    assert_eq!(ask(3, b"\x03\0key\x04\0none", b""), b"");
}

#[test]
fn wrong_caches_end_the_start_with_their_place() {
    for (line, what) in [
        ("name=one", "number of cache items"),
        ("name=one,items=5,colour=red", "\"colour\""),
        ("name=one,items=5,blocks=2", "each of the 5 items needs one"),
        (
            "name=one,items=2000000000,blocksize=4000000000",
            "smaller blocks (@DIR@/c.ini:3, option cache2)",
        ),
    ] {
        let setup = Setup::new().wsgi(EVAL_APP);
        let setup = setup.file("c.ini", &format!("[uwsgi]\nmaster = 1\ncache2 = {line}\n"));
        let what = what.replace("@DIR@", &setup.dir().display().to_string());
        let ended = setup.args(["--ini", "@DIR@/c.ini"]).run();
        assert_eq!(ended.code, 1, "{line}: {}", ended.output);
        assert!(ended.output.contains(&what), "{line}: {}", ended.output);
    }
}

#[test]
fn items_are_there_from_the_start_and_swept_when_their_time_is_over() {
    let setup = Setup::new().wsgi(EVAL_APP).file("page.html", "<p>hello");
    let page = setup.dir().join("page.html").display().to_string();
    let mut server = setup
        .args([
            "--cache",
            "10",
            "--cache2",
            ONE,
            "--cache-expire-freq",
            "1",
            "--cache-report-freed-items",
        ])
        .args([
            "--add-cache-item",
            "one greeting=hi there",
            "--load-file-in-cache",
            &page,
        ])
        .start();
    assert_eq!(eval(&server, "uwsgi.cache_get('greeting', 'one')"), "b'hi there'");
    assert_eq!(
        eval(&server, &format!("uwsgi.cache_get('{page}', 'default')")),
        "b'<p>hello'"
    );
    assert_eq!(
        eval(
            &server,
            "uwsgi.cache_update('gone', 'v', -1); r = uwsgi.cache_get('gone')"
        ),
        "None"
    );
    assert_eq!(eval(&server, "uwsgi.cache_set('brief', 'v', 1)"), "True");
    wait_for("the sweeper", || {
        (eval(&server, "uwsgi.cache_exists('brief')") == "None").then_some(())
    });
    server.wait_log("of cache \"default\"", 1);
    assert_eq!(eval(&server, &format!("uwsgi.cache_keys() == [b'{page}']")), "True");
}

#[test]
fn c_plugins_use_caches() {
    let source = r#"
#include <uwsgi.h>
static void init_apps() {
    uint64_t len = 0, ends = 1; int64_t by = 7;
    int added = uwsgi_cache_magic_set("k", 1, "value", 5, 0, 0, NULL);
    int again = uwsgi_cache_magic_set("k", 1, "other", 5, 0, 0, NULL);
    int update = uwsgi_cache_magic_set("k", 1, "newer", 5, 0, UWSGI_CACHE_FLAG_UPDATE, "one");
    char *value = uwsgi_cache_magic_get("k", 1, &len, &ends, "one");
    uwsgi_cache_magic_set("n", 1, (char *) &by, 8, 0, UWSGI_CACHE_FLAG_MATH|UWSGI_CACHE_FLAG_INC, NULL);
    char buf[8];
    ssize_t n = rsgi_cache_get("k", 1, buf, 2, NULL);
    uwsgi_log("CACHE %d %d %d %.*s %d %d %.2s %d %d\n", added, again, update, (int) len, value, (int) ends, (int) n, buf,
        uwsgi_cache_magic_exists("k", 1, NULL), uwsgi_cache_magic_exists("k", 1, "two"));
    free(value);
}
struct uwsgi_plugin cacher_plugin = { .name = "cacher", .init_apps = init_apps };
"#;
    let setup = Setup::new().wsgi(EVAL_APP);
    let plugin = build_plugin(setup.dir(), "cacher.c", source).display().to_string();
    let mut server = setup.args(["--plugin", &plugin, "--cache2", ONE]).start();
    server.wait_log("CACHE 0 -1 0 newer 0 5 ne 1 0", 1);
    assert_eq!(
        eval(&server, "(uwsgi.cache_num('n'), uwsgi.cache_get('k'))"),
        "(7, b'newer')"
    );
    assert_eq!(
        eval(&server, "uwsgi.cache_del('k'), uwsgi.cache_clear(), uwsgi.cache_keys()"),
        "(True, True, [])"
    );
}
