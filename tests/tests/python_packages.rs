//! Packages of PyPI that talk to the server through the `uwsgi` module, or make ASGI applications: unmodified, as their
//! own documents say. Without a network the tests say that they are skipped.

use rsgi_tests::http::{self, get, post};
use rsgi_tests::pty::Terminal;
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, venv, wait_for};
use std::process::Command;

/// A server with `app.py`, if these packages are there.
fn serve(packages: &[&str], app: &str, args: &[&str]) -> Option<Server> {
    let venv = venv::with(packages)?;
    let setup = Setup::new().file("app.py", app).args([
        "--http-socket",
        "127.0.0.1:0",
        "--virtualenv",
        venv::argument(&venv),
        "--pythonpath",
        "@DIR@",
    ]);
    Some(setup.args(args.iter().copied()).start())
}

fn notes(server: &Server) -> String {
    std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default()
}

const FASTAPI: &str = r#"
import asyncio
from contextlib import asynccontextmanager
from fastapi import BackgroundTasks, Depends, FastAPI, File, HTTPException, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
import uwsgi

@asynccontextmanager
async def lifespan(app):
    app.state.began = "began"
    yield
    print("LIFESPAN ENDS", flush=True)

app = FastAPI(lifespan=lifespan)
DONE = []

class Item(BaseModel):
    name: str
    price: float

def worker(): return uwsgi.worker_id()

@app.get("/items/{number}")
async def read(number: int, q: str | None = None, wid: int = Depends(worker)):
    return {"number": number, "q": q, "served": wid > 0, "began": app.state.began}

@app.post("/items")
def create(item: Item, background: BackgroundTasks):
    # in a thread: still this request's
    uwsgi.set_logvar("item", item.name)
    background.add_task(DONE.append, item.name)
    return {"total": item.price * 2, "known": uwsgi.get_logvar("item").decode()}

@app.get("/done")
async def done(): return DONE

@app.get("/missing")
async def missing(): raise HTTPException(status_code=404, detail="no such thing")

@app.post("/upload")
async def upload(file: UploadFile = File(...)):
    return {"name": file.filename, "size": len(await file.read())}

@app.get("/stream")
async def stream():
    async def parts():
        for i in range(3):
            yield b"part%d;" % i
            await asyncio.sleep(0.01)
    return StreamingResponse(parts())

@app.websocket("/ws/{room}")
async def ws(websocket: WebSocket, room: str):
    await websocket.accept()
    try:
        while True: await websocket.send_text(room + ":" + await websocket.receive_text())
    except WebSocketDisconnect as e:
        print("CLOSED", e.code, flush=True)
"#;

#[test]
fn fastapi_and_the_websockets_of_starlette() {
    let args = ["--module", "app:app"];
    let Some(mut server) = serve(&["fastapi", "python-multipart"], FASTAPI, &args) else {
        return;
    };
    let port = server.port();
    assert_eq!(
        get(port, "/items/5?q=x").text(),
        r#"{"number":5,"q":"x","served":true,"began":"began"}"#
    );
    assert_eq!(get(port, "/items/five").status, 422);
    let json = |body: &str| {
        let head = format!(
            "POST /items HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        http::exchange(port, [head.as_bytes(), body.as_bytes()].concat().as_slice())
    };
    assert_eq!(
        json(r#"{"name":"pen","price":1.5}"#).text(),
        r#"{"total":3.0,"known":"pen"}"#
    );
    assert_eq!(json(r#"{"name":"pen"}"#).status, 422);
    wait_for("the background task", || {
        (get(port, "/done").text() == r#"["pen"]"#).then_some(())
    });
    assert_eq!(get(port, "/missing").status, 404);
    assert_eq!(get(port, "/stream").text(), "part0;part1;part2;");
    let part = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
    let body = [part.as_bytes(), &vec![b'x'; 200_000], b"\r\n--edge--\r\n"].concat();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=edge\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = http::exchange(port, [head.as_bytes(), &body].concat().as_slice());
    assert_eq!(answer.text(), r#"{"name":"a.bin","size":200000}"#);
    let mut client = Client::open(port, "/ws/hall", "");
    client.send(0x81, b"hello");
    assert_eq!(client.text(), "hall:hello");
    client.send(0x88, &1001u16.to_be_bytes());
    server.wait_log("CLOSED 1001", 1);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    assert_eq!(server.log().matches("LIFESPAN ENDS").count(), 1);
}

const DJANGO: &str = r#"
import asyncio, os, sys
from django.conf import settings
settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], SECRET_KEY="x", ROOT_URLCONF=__name__, USE_TZ=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
import django
django.setup()
from django.core.asgi import get_asgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

async def later(request):
    await asyncio.sleep(0.05)
    return HttpResponse("later " + request.GET["q"])

def plain(request): return HttpResponse("%s %d" % (request.method, len(request.body)))

async def stream(request):
    async def parts():
        for i in range(3):
            yield b"%d," % i
            await asyncio.sleep(0.01)
    return StreamingHttpResponse(parts())

def error(request): return 1 / 0

urlpatterns = [path("later", later), path("plain", plain), path("stream", stream), path("error", error),
    path("source", lambda r: FileResponse(open(__file__, "rb")))]
application = get_asgi_application()
"#;

#[test]
fn django_as_an_asgi_application() {
    let Some(server) = serve(&["django"], DJANGO, &["--asgi", "app:application", "-p", "2"]) else {
        return;
    };
    let port = server.port();
    assert_eq!(get(port, "/later?q=x").text(), "later x");
    assert_eq!(post(port, "/plain", &vec![b'x'; 300_000]).text(), "POST 300000");
    assert_eq!(get(port, "/stream").text(), "0,1,2,");
    assert_eq!(get(port, "/source").text(), DJANGO);
    assert_eq!(get(port, "/error").status, 500);
    assert_eq!(get(port, "/missing").status, 404);
}

const TASKS: &str = r#"
import os, uwsgi
from uwsgi_tasks import RetryTaskException, TaskExecutor, get_current_task, task, timer
def note(*words):
    with open("@DIR@/notes", "a") as f: f.write(" ".join(map(str, words)) + "\n")
def who(): return "spooler" if uwsgi.i_am_the_spooler() else "mule%d" % uwsgi.mule_id()

@task(executor=TaskExecutor.SPOOLER)
def mail(to, subject=""): note("mail", who(), to, subject)

@task(executor=TaskExecutor.SPOOLER, retry_count=2, retry_timeout=1)
def flaky(name):
    note("flaky", who())
    raise RetryTaskException()

@task(executor=TaskExecutor.MULE)
def quick(n): note("quick", who(), n)

@task
def chosen(text): note("chosen", who(), len(text))

@timer(seconds=1, target="mule")
def tick(signal): note("tick", who())

def application(env, start):
    mail("ada@example.org", subject="hi"); flaky("x"); quick(5); chosen("y" * 100_000)
    start("200 OK", [])
    return [b"queued"]
"#;

#[test]
fn tasks_of_uwsgi_tasks_run_in_spooler_and_mules() {
    let args = [
        "--module",
        "app",
        "--mule",
        "--spooler",
        "@DIR@/sp",
        "--spooler-frequency",
        "1",
    ];
    let Some(server) = serve(&["uwsgi-tasks"], TASKS, &args) else {
        return;
    };
    assert_eq!(get(server.port(), "/").text(), "queued");
    for line in [
        "mail spooler ada@example.org hi",
        "quick mule1 5",
        // too long for a message to a mule
        "chosen spooler 100000",
        "tick mule1",
    ] {
        wait_for(line, || notes(&server).contains(line).then_some(()));
    }
    wait_for("the second try", || {
        (notes(&server).matches("flaky spooler").count() >= 2).then_some(())
    });
}

const DJANGO_UWSGI: &str = r#"
import os, sys
from django.conf import settings
if not settings.configured:
    settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], SECRET_KEY="x", ROOT_URLCONF="app", USE_TZ=False,
        INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
            "django.contrib.sessions", "django.contrib.messages", "django_uwsgi"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
            "context_processors": ["django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "@DIR@/db"}},
        STATIC_URL="/static/",
        CACHES={"default": {"BACKEND": "django_uwsgi.cache.UwsgiCache", "LOCATION": "pages"}})
import django
django.setup()
from django.contrib import admin
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import include, path

def count(request):
    cache.set("n", cache.get("n", 0) + 1, 30)
    return HttpResponse(str(cache.get("n")))

urlpatterns = [path("admin/uwsgi/", include("django_uwsgi.urls")), path("admin/", admin.site.urls),
    path("count", count)]
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
if __name__ == "__main__":
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    user = User.objects.create_superuser("root", "r@example.org", "secret")
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = user.pk, user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    print(session.session_key)
"#;

#[test]
fn the_pages_and_the_cache_of_django_uwsgi() {
    let Some(venv) = venv::with(&["django", "django-uwsgi-ng"]) else {
        return;
    };
    let setup = Setup::new().file("app.py", DJANGO_UWSGI);
    let made = Command::new(venv.join("bin/python"))
        .arg(setup.dir().join("app.py"))
        .current_dir(setup.dir())
        .env("PYTHONPATH", setup.dir())
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let session = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let mut server = setup
        .args(["--http-socket", "127.0.0.1:0", "--virtualenv", venv::argument(&venv)])
        .args(["--module", "app", "--pythonpath", "@DIR@", "-p", "2"])
        .args(["--cache2", "name=pages,items=20", "--spooler", "@DIR@/sp"])
        .start();
    let port = server.port();
    let ask = |line: &str, session: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: sessionid={session}\r\n\r\n");
        http::exchange(port, head.as_bytes())
    };
    for n in 1..=4 {
        assert_eq!(get(port, "/count").text(), n.to_string());
    }
    assert_eq!(ask("GET /admin/uwsgi/", "nobody").status, 302, "to the login");
    let page = ask("GET /admin/uwsgi/", &session);
    let text = page.text();
    assert_eq!(page.status, 200, "{text}");
    for wanted in [&server.pid().to_string(), "masterpid", "numproc", "cache2"] {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    for (_, pid) in server.workers() {
        assert!(text.contains(&pid.to_string()), "no worker {pid} in {text}");
    }
    assert_eq!(ask("GET /admin/uwsgi/cache_clear/", &session).status, 302);
    assert_eq!(get(port, "/count").text(), "1");
    let old: Vec<i32> = server.workers().into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(ask("GET /admin/uwsgi/reload/", &session).status, 302);
    server.wait_workers(2, &old);
    assert_eq!(get(port, "/count").text(), "2", "the cache survives");
}

const CACHING: &str = r#"
from flask import Flask
from flask_caching import Cache
application = Flask(__name__)
application.config.from_mapping(CACHE_TYPE="flask_caching.contrib.uwsgicache.UWSGICache", CACHE_UWSGI_NAME="pages", CACHE_DEFAULT_TIMEOUT=60)
cache = Cache(application)
CALLS = 0

@application.route("/page")
@cache.cached(timeout=50)
def page():
    global CALLS
    CALLS += 1
    return "made %d" % CALLS

@cache.memoize(50)
def square(n): return n * n

@application.route("/memo")
def memo(): return str(square(7))

@application.route("/clear")
def clear(): return str(cache.clear())
"#;

#[test]
fn flask_caching_keeps_pages_in_the_server() {
    let args = [
        "--module",
        "app",
        "--cache2",
        "name=pages,items=100",
        "--lazy-apps",
        "-p",
        "2",
    ];
    let Some(server) = serve(&["flask", "flask-caching"], CACHING, &args) else {
        return;
    };
    let port = server.port();
    for _ in 0..10 {
        assert_eq!(get(port, "/page").text(), "made 1", "of whichever worker");
        assert_eq!(get(port, "/memo").text(), "49");
    }
    assert_eq!(get(port, "/clear").text(), "True");
    assert!(get(port, "/page").text().starts_with("made "));
}

#[test]
fn uwsgitop_shows_the_workers() {
    let Some(venv) = venv::with(&["uwsgitop"]) else { return };
    let app = "def application(env, start):\n    start('200 OK', [])\n    return [b'seen']\n";
    let server = Setup::new()
        .wsgi(app)
        .args(["-p", "2", "--stats", "@DIR@/stats.sock"])
        .start();
    for _ in 0..5 {
        get(server.port(), "/");
    }
    let mut terminal = Terminal::new();
    let mut top = Command::new(venv.join("bin/uwsgitop"))
        .arg(server.dir().join("stats.sock"))
        .env("TERM", "xterm")
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end())
        .spawn()
        .expect("it runs");
    for (_, pid) in server.workers() {
        terminal.wait(&pid.to_string(), 1);
    }
    terminal.wait("req: 5", 1);
    terminal.write("q");
    let status = wait_for("its end", || top.try_wait().ok().flatten());
    assert!(status.success(), "{}", terminal.text());
}

const ENGINE: &str = r#"
from gevent import monkey
monkey.patch_all()
import engineio, os, time
eio = engineio.Server(async_mode="gevent_uwsgi", cors_allowed_origins="*")

@eio.on("connect")
def connect(sid, environ): print("CONNECTED", flush=True)

@eio.on("message")
def message(sid, data):
    time.sleep(0.01)
    eio.send(sid, "echo:" + data)

@eio.on("disconnect")
def disconnect(sid, reason): print("DISCONNECTED", flush=True)

def other(env, start):
    time.sleep(0.3)
    start("200 OK", [])
    return [b"slept"]

application = engineio.WSGIApp(eio, other)
"#;

#[test]
fn the_websockets_of_python_engineio_under_gevent() {
    let args = ["--module", "app", "--gevent", "50"];
    let Some(mut server) = serve(&["gevent", "python-engineio"], ENGINE, &args) else {
        return;
    };
    let port = server.port();
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert_eq!(get(port, "/").text(), "slept"));
        }
    });
    assert!(begin.elapsed() < std::time::Duration::from_secs(3), "in turns");
    let mut client = Client::open(port, "/engine.io/?EIO=4&transport=websocket", "");
    assert!(client.text().starts_with("0{"), "engine.io's open packet");
    for word in ["one", "two", "three"] {
        client.send(0x81, format!("4{word}").as_bytes());
        assert_eq!(client.text(), format!("4echo:{word}"));
    }
    // two frames at once, the second of which no event of the socket announces
    client.send(0x81, b"4four");
    client.send(0x81, b"4five");
    let mut both = [client.text(), client.text()];
    both.sort();
    assert_eq!(both, ["4echo:five", "4echo:four"]);
    drop(client);
    server.wait_log("DISCONNECTED", 1);
}
