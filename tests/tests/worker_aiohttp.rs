//! The aiohttp program of uWSGI's own document about worker overrides: two sockets, four processes. It differs from the
//! printed one where today's aiohttp and asyncio have other names, and calls `uwsgi.log` for every request, as the
//! document advises.

use rsgi_tests::http::get;
use rsgi_tests::load::Load;
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, send, venv, wait_for};
use std::collections::BTreeSet;

const PROGRAM: &str = r#"
import asyncio
from aiohttp import web

import uwsgi
import socket
import sys
import signal

async def handle(request):
   name = request.match_info.get('name', "Anonymous")
   text = "Hello, " + name
   uwsgi.log("worker {0} served {1}".format(uwsgi.worker_id(), name))
   return web.Response(body=text.encode('utf-8'))

async def wshandler(request):
   ws = web.WebSocketResponse()
   await ws.prepare(request)

   async for msg in ws:
     if msg.type == web.WSMsgType.TEXT:
         await ws.send_str("Hello, {}".format(msg.data))
     elif msg.type == web.WSMsgType.BINARY:
         await ws.send_bytes(msg.data)
     elif msg.type == web.WSMsgType.CLOSE:
         break

   return ws

async def init(loop, fd):
    app = web.Application()
    app.router.add_route('GET', '/echo', wshandler)
    app.router.add_route('GET', '/{name}', handle)

    runner = web.AppRunner(app)
    await runner.setup()
    srv = await loop.create_server(runner.server,
                                   sock=socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM))
    print("asyncio server started on uWSGI {0}".format(uwsgi.version))
    return srv, runner

def destroy():
   print("destroy worker {0}".format(uwsgi.worker_id()))
   sys.exit(0)

def graceful_reload():
   print("graceful reload for worker {0}".format(uwsgi.worker_id()))
@GRACEFUL@

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.add_signal_handler(signal.SIGINT, destroy)
loop.add_signal_handler(signal.SIGHUP, graceful_reload)
# spawn a handler for every uWSGI socket
servers = [loop.run_until_complete(init(loop, fd)) for fd in uwsgi.sockets]
uwsgi.accepting()
loop.run_forever()
"#;

/// As it is printed.
const AT_ONCE: &str = "   # TODO do somethign meaningful\n   sys.exit(0)";
/// As the document says that it should be: those who are connected get their answers. A server of asyncio that is closed
/// drops those whom it has just accepted, so the sockets are only not read any more at first.
const WITH_PATIENCE: &str = r#"   async def leave():
       for srv, _ in servers:
           for sock in srv.sockets: loop.remove_reader(sock.fileno())
       await asyncio.sleep(0.3)
       for _, runner in servers: await runner.cleanup()
       loop.stop()
   loop.create_task(leave())"#;

fn start(graceful: &str, args: &[&str]) -> Option<Server> {
    let venv = venv::with(&["aiohttp"])?;
    let config = "[uwsgi]\n; create a bunch of sockets\nsocket = 127.0.0.1:0\nsocket = 127.0.0.1:0\n\
        ; spawn the master\nmaster = true\n; spawn 4 processes\nprocesses = 4\n\
        ; load a python script as the worker code\npython-worker-override = aioserver.py\n";
    let mut server = Setup::new()
        .file("aioserver.py", &PROGRAM.replace("@GRACEFUL@", graceful))
        .file("config.ini", config)
        .file("touch", "")
        .args(["config.ini", "--virtualenv", venv::argument(&venv)])
        .args(args.iter().copied())
        .start_unready();
    // two sockets in each of four workers
    server.wait_log("asyncio server started on uWSGI b'", 8);
    server.wait_workers(4, &[]);
    Some(server)
}

fn pids(server: &Server) -> Vec<i32> {
    server.workers().into_iter().map(|(_, pid)| pid).collect()
}

#[test]
fn both_sockets_are_served_by_all_workers() {
    let Some(mut server) = start(AT_ONCE, &[]) else { return };
    let ports = [server.port_of_socket(0), server.port_of_socket(1)];
    for (number, port) in ports.into_iter().enumerate() {
        let name = format!("socket{number}");
        let wanted: BTreeSet<String> = (1..=4).map(|id| format!("worker {id} served {name}")).collect();
        wait_for("an answer of each worker", || {
            // several at a time, so that one worker is not always the first
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| assert_eq!(get(port, &format!("/{name}")).text(), format!("Hello, {name}")));
                }
            });
            let log = server.log();
            wanted.iter().all(|line| log.contains(line)).then_some(())
        });
        let mut client = Client::open(port, "/echo", "");
        client.send(0x81, b"you");
        assert_eq!(client.text(), "Hello, you");
    }
    server.signal(libc::SIGINT);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    for id in 1..=4 {
        assert!(
            server.log().contains(&format!("destroy worker {id}\n")),
            "{}",
            server.log()
        );
    }
}

#[test]
fn signals_do_what_the_program_writes() {
    let Some(mut server) = start(AT_ONCE, &[]) else { return };
    for (signal, word) in [
        (libc::SIGINT, "destroy worker"),
        (libc::SIGHUP, "graceful reload for worker"),
    ] {
        let (id, pid) = server.workers()[0];
        send(pid, signal);
        server.wait_log(&format!("{word} {id}\n"), 1);
        wait_for("its successor", || {
            (server.workers().len() == 4 && !pids(&server).contains(&pid)).then_some(())
        });
        assert_eq!(get(server.port(), "/again").text(), "Hello, again");
    }
    let old = pids(&server);
    server.signal(libc::SIGHUP);
    server.wait_workers(4, &old);
    for id in 1..=4 {
        server.wait_log(&format!("graceful reload for worker {id}\n"), 1);
    }
    assert_eq!(get(server.port(), "/after").text(), "Hello, after");
}

#[test]
fn a_chain_reload_loses_no_request() {
    let Some(mut server) = start(WITH_PATIENCE, &["--touch-chain-reload", "touch"]) else {
        return;
    };
    let loads = [0, 1].map(|number| Load::start(server.port_of_socket(number), "/load", 4, false));
    loads.iter().for_each(|load| load.wait_answers(100));
    let old = pids(&server);
    std::fs::write(server.dir().join("touch"), "again").expect("the folder is writable");
    server.wait_workers(4, &old);
    for pid in old {
        wait_for("the old workers to leave", || {
            (!rsgi_tests::is_alive(pid)).then_some(())
        });
    }
    loads.iter().for_each(|load| load.wait_answers(100));
    for load in loads {
        let seen = load.finish();
        assert_eq!((seen.failures.len(), seen.refused), (0, 0), "{:?}", seen.failures);
        assert!(seen.bodies.iter().all(|body| body == "Hello, load"));
    }
    assert_eq!(
        server.log().matches("graceful reload for worker").count(),
        4,
        "{}",
        server.log()
    );
}
