//! Lua beside requests of WSAPI: loops and scripts of its own in workers, mules and spoolers, the shell, modules in C,
//! and conversations over websockets.

use rsgi_tests::http::{connect, get};
use rsgi_tests::pty::Terminal;
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, is_alive, wait_for};
use std::io::{Read, Write};

const LOOP: &str = r#"
uwsgi.accepting()
while not uwsgi.is_leaving() do
  uwsgi.notify_alive()
  local client = uwsgi.accept(1)
  if client then
    local asked = uwsgi.recv(client, 4096)
    if asked:find("/slow", 1, true) then
      uwsgi.send(client, "HTTP/1.0 200 OK\r\n\r\n")
      while not uwsgi.is_leaving() do uwsgi.async_sleep(0.02) end
    end
    if asked:find("/error", 1, true) then error("boom in the loop") end
    if not asked:find("/slow", 1, true) then uwsgi.send(client, "HTTP/1.0 200 OK\r\n\r\n") end
    uwsgi.send(client, uwsgi.mywid() .. " " .. uwsgi.mypid() .. " of " .. #uwsgi.sockets)
    uwsgi.close(client)
  end
end
uwsgi.log("the loop of worker " .. uwsgi.mywid() .. " is over")
"#;

fn looping(args: &[&str]) -> Server {
    Setup::new()
        .file("loop.lua", LOOP)
        .args(["--master", "--lua-worker-override", "@DIR@/loop.lua"])
        .args([
            "--socket",
            "127.0.0.1:0",
            "--socket",
            "127.0.0.1:0",
            "--worker-heartbeat",
            "5",
        ])
        .args(args.iter().copied())
        .start()
}

/// The pid of the worker that answers.
fn worker(port: u16) -> i32 {
    let text = get(port, "/").text();
    let mut words = text.split(' ');
    assert_eq!(words.clone().skip(2).collect::<Vec<_>>(), ["of", "2"], "{text:?}");
    words.nth(1).and_then(|pid| pid.parse().ok()).expect("a pid")
}

#[test]
fn a_loop_of_lua_serves_is_reloaded_and_finishes_its_client() {
    let mut server = looping(&["-p", "2"]);
    let ports = [server.port_of_socket(0), server.port_of_socket(1)];
    let pids = |server: &mut Server, but: &[i32]| -> Vec<i32> {
        server.wait_workers(2, but).into_iter().map(|(_, pid)| pid).collect()
    };
    let old = pids(&mut server, &[]);
    for port in ports {
        assert!(old.contains(&worker(port)));
    }
    let mut slow = connect(ports[0]);
    slow.write_all(b"GET /slow HTTP/1.0\r\n\r\n").unwrap();
    let mut head = [0; 4];
    slow.read_exact(&mut head).unwrap();
    server.signal(libc::SIGHUP);
    let new = pids(&mut server, &old);
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.ends_with(" of 2"), "{text}");
    for pid in &old {
        wait_for("the old workers to leave", || (!is_alive(*pid)).then_some(()));
    }
    assert!(new.contains(&worker(ports[1])));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    assert_eq!(server.log().matches("is over").count(), 4, "{}", server.log());
}

#[test]
fn an_error_in_the_loop_is_told_with_its_traceback_and_another_worker_comes() {
    let mut server = looping(&["-p", "1"]);
    let first = server.workers()[0].1;
    let mut client = connect(server.port_of_socket(0));
    client.write_all(b"GET /error HTTP/1.0\r\n\r\n").unwrap();
    server.wait_log("boom in the loop", 1);
    server.wait_workers(1, &[first]);
    assert_ne!(worker(server.port_of_socket(1)), first);
    assert!(server.log().contains("stack traceback"), "{}", server.log());
}

#[test]
fn scripts_run_after_forks_and_as_mules() {
    let note =
        "uwsgi.log('this is ' .. uwsgi.mywid() .. ' ' .. uwsgi.mymid() .. ' ' .. tostring(uwsgi.i_am_a_spooler()))";
    let mut server = Setup::new()
        .file("load.lua", "uwsgi.register_rpc('loaded', function() return 'yes' end)")
        .file("note.lua", note)
        .file(
            "mule.lua",
            "uwsgi.log('the script of mule ' .. uwsgi.mymid()) error('its end')",
        )
        .args([
            "--master",
            "-p",
            "1",
            "--socket",
            "127.0.0.1:0",
            "--lua-load",
            "@DIR@/load.lua",
        ])
        .args(["--mule=@DIR@/mule.lua", "--spooler", "@DIR@/sp"])
        .args([
            "--lua-postfork-worker",
            "@DIR@/note.lua",
            "--lua-postfork-mule",
            "@DIR@/note.lua",
        ])
        .args(["--lua-postfork-spooler", "@DIR@/note.lua"])
        .start();
    for who in ["1 0 false", "0 1 false", "0 0 true"] {
        server.wait_log(&format!("this is {who}"), 1);
    }
    // ended by its error, and started again
    server.wait_log("the script of mule 1", 2);
    assert!(
        server.log().contains("mule.lua: ") && server.log().contains("its end"),
        "{}",
        server.log()
    );
}

#[test]
fn a_bare_argument_is_an_application() {
    let server = Setup::new()
        .file(
            "app.lua",
            "return function() return 299, {}, 'from a bare argument' end",
        )
        .args([
            "--plugin",
            "lua",
            "--http-socket",
            "127.0.0.1:0",
            "--http-socket-modifier1",
            "6",
            "app.lua",
        ])
        .start();
    let answer = server.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (299, "from a bare argument"));
}

#[test]
fn a_shell_on_the_terminal() {
    for (option, is_left) in [("--lua-shell", false), ("--luashell-oneshot", true)] {
        let mut terminal = Terminal::new();
        let mut server = Setup::new()
            .file(
                "app.lua",
                "return function() return 200, {}, tostring(uwsgi.mywid()) end",
            )
            .args([
                "--master",
                "-p",
                "1",
                "--lua",
                "@DIR@/app.lua",
                "--http-socket",
                "127.0.0.1:0",
                option,
            ])
            .args(["--http-socket-modifier1", "6"])
            .stdin(terminal.end())
            .start_unready();
        terminal.wait("Ctrl-D ends it", 1);
        terminal.write("uwsgi.mywid() * 41, nil\n");
        terminal.wait("41\tnil", 1);
        terminal.write("for n = 7, 7 do\nprint('n is', n)\nend\n");
        terminal.wait("n is\t7", 1);
        terminal.write("error('wrong here')\n");
        terminal.wait("stack traceback", 1);
        terminal.write("x x\n");
        terminal.wait("near 'x'", 1);
        terminal.write("\x04");
        if is_left {
            assert_eq!(server.get("/").text(), "1");
        } else {
            terminal.wait("Ctrl-D ends it", 2);
        }
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        assert!(!server.log().contains("n is"), "{}", server.log());
    }
}

#[test]
fn modules_in_c_and_debug_are_there() {
    let app = "local ok, found = pcall(require, 'cjson')
        return function() return 200, {}, ok and found.encode({1, 2}) or tostring(found) end";
    let server = Setup::new()
        .file("app.lua", app)
        .file("pre.lua", "assert(debug.getinfo and package.loadlib)")
        .args(["--lua", "@DIR@/app.lua", "--lua-load", "@DIR@/pre.lua"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "6"])
        .start();
    let text = server.get("/").text();
    if text.contains("module 'cjson' not found") {
        return rsgi_tests::skipped("there is no cjson for this Lua (lua-cjson)");
    }
    assert_eq!(text, "[1,2]");
}

const TALK: &str = r#"
local before
return function(env)
  local ws = uwsgi.websocket_handler()
  if env.PATH_INFO == "/plain" then return 200, {}, tostring(ws) end
  if env.PATH_INFO == "/before" then
    local ok, why = pcall(before.recv, before)
    return 200, {}, tostring(before:is_alive()) .. " " .. tostring(ok) .. " " .. tostring(why)
  end
  before = ws
  uwsgi.websocket_handshake()
  ws:send((ws:fd() == uwsgi.connection_fd() and "same " or "other ") .. ws:async_id() .. " " .. tostring(ws:is_alive()))
  ws:send("got " .. ws:recv())
  ws:send_binary("\0\255")
  ws:send_from_sharedarea(0, 2, 3)
  uwsgi.websocket_send_from_sharedarea(0, 4092)
  uwsgi.websocket_send_binary_from_sharedarea(0, 0, 2)
  ws:send(tostring(pcall(ws.send_from_sharedarea, ws, 0, 4090, 7)))
  ws:send("nothing yet: '" .. ws:recv_nb() .. "'")
  ws:clear()
  uwsgi.websocket_send(tostring(ws:is_alive()))
end
"#;

#[test]
fn a_conversation_is_an_object_until_its_request_is_over() {
    let python = "import uwsgi\nuwsgi.sharedarea_write(0, 0, b'abcdefg')\nuwsgi.sharedarea_write(0, 4092, b'last')\n";
    let python = format!("{python}def application(e, s):\n    s('200 OK', [])\n    return []\n");
    let server = Setup::new()
        .file("app.lua", TALK)
        .wsgi(&python)
        .args(["--master", "-p", "1", "--lua", "@DIR@/app.lua", "--sharedarea", "1"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "6"])
        .start();
    let port = server.port_of_socket(1);
    let mut client = Client::open(port, "/", "");
    assert_eq!(client.text(), "same 0 true");
    client.send(0x81, b"hello");
    assert_eq!(client.text(), "got hello");
    assert_eq!(client.receive(), Some((0x82, b"\0\xff".to_vec())));
    assert_eq!(client.text(), "cde");
    assert_eq!(client.text(), "last");
    assert_eq!(client.receive(), Some((0x82, b"ab".to_vec())));
    assert_eq!(client.text(), "false");
    assert_eq!(client.text(), "nothing yet: ''");
    assert_eq!(client.text(), "nil");
    drop(client);
    assert_eq!(get(port, "/plain").text(), "nil");
    let answer = get(port, "/before").text();
    assert!(
        answer.starts_with("nil false ") && answer.contains("is over"),
        "{answer}"
    );
}
