//! `uwsgi.*` about the current request in ASGI applications: each task has its own, threads that take the context along
//! know it, and what outlives the request is told that it is over. On every Python of this machine.

use rsgi_tests::http::{answer, get, talk};
use rsgi_tests::{Server, Setup, interpreters, wait_for};

const APP: &str = r#"
import asyncio, contextvars, os, uwsgi
LATER = []

def of_request(name):
    uwsgi.set_logvar("who", name)
    return uwsgi.get_logvar("who").decode()

def error(function, *args):
    try: return function(*args)
    except ValueError as e: return str(e)

uwsgi.register_signal(17, "worker", lambda number: LATER.append(error(uwsgi.connection_fd)))

async def app(scope, receive, send):
    if scope["type"] != "http": raise NotImplementedError
    path, query = scope["path"], scope["query_string"].decode()
    out = None
    if path == "/own":
        # two of these are in work at a time
        uwsgi.set_logvar("who", query)
        fd = uwsgi.connection_fd()
        await asyncio.sleep(0.2)
        child = await asyncio.create_task(asyncio.sleep(0.01, uwsgi.get_logvar("who")))
        context = contextvars.copy_context()
        thread = await asyncio.get_running_loop().run_in_executor(None, context.run, uwsgi.get_logvar, "who")
        out = (query, uwsgi.get_logvar("who").decode(), child.decode(), thread.decode(), fd == uwsgi.connection_fd())
    elif path == "/calls":
        out = [uwsgi.add_var("MINE", "x"), uwsgi.cl(), uwsgi.log_this_request(), uwsgi.request_id() >= 0,
               uwsgi.chunked_read_nb()]
    elif path == "/refused":
        out = [error(uwsgi.chunked_read), error(uwsgi.websocket_recv), error(uwsgi.sendfile, __file__)]
    elif path == "/limit":
        uwsgi.set_user_harakiri(1)
        try: await asyncio.sleep(30)
        except asyncio.CancelledError:
            print("CANCELLED", flush=True)
            raise
    elif path == "/after":
        async def after():
            await asyncio.sleep(0.1)
            LATER.append(error(uwsgi.connection_fd))
        asyncio.create_task(after())
    elif path == "/signal":
        # its handler runs while this request is in work, and is none of it
        uwsgi.signal(17)
        await asyncio.sleep(0.1)
    elif path == "/later":
        out = LATER
    elif path == "/outside":
        asyncio.get_running_loop().call_soon(lambda: LATER.append(error(uwsgi.connection_fd)), context=contextvars.Context())
        await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(out).encode()})
"#;

fn server(home: &str) -> Server {
    let setup = Setup::new().file("ap.py", APP);
    setup
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--pythonpath",
            "@DIR@",
            "--asgi",
            "ap:app",
        ])
        .args(["--log-format", "who=%(who) mine=%(var.MINE)", "--virtualenv", home])
        .start()
}

const WITHOUT: &str = "connection_fd() works only while a request is served, in the thread that serves it";

fn knows_its_requests(mut server: Server) {
    let port = server.port();
    let ask = |path: &str| talk(port, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let readers: Vec<_> = ["a", "b", "c"]
        .map(|name| (name, ask(&format!("/own?{name}"))))
        .into_iter()
        .collect();
    for (name, mut reader) in readers {
        assert_eq!(
            answer(&mut reader).text(),
            format!("('{name}', '{name}', '{name}', '{name}', True)")
        );
    }
    server.wait_log("who=b mine=", 1);
    assert_eq!(get(port, "/calls").text(), "[True, 0, None, True, b'']");
    server.wait_log("mine=x", 1);
    let refused = get(port, "/refused").text();
    assert_eq!(refused.matches("awaits receive() and send()").count(), 3, "{refused}");
    assert_eq!(get(port, "/limit").status, 500);
    server.wait_log("CANCELLED", 1);
    get(port, "/after");
    get(port, "/outside");
    get(port, "/signal");
    let later = wait_for("what came later", || {
        let text = get(port, "/later").text();
        (text.matches(WITHOUT).count() == 3).then_some(text)
    });
    assert_eq!(later.matches("connection_fd").count(), 3, "{later}");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
}

#[test]
fn applications_of_every_python_know_their_requests() {
    let all = interpreters::embeddable();
    for home in all.values() {
        knows_its_requests(server(&home.display().to_string()));
    }
    assert!(!all.is_empty(), "no Python of this machine can be embedded");
}
