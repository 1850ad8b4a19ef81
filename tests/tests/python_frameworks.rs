//! Applications as their own tutorials write them, unmodified, on each way a request can come in: Flask and Django
//! behind `--http-socket`, `--http`, and nginx with `uwsgi_pass`; OpenTelemetry and a cache library in workers.
//!
//! The packages come from PyPI; without a network the tests say that they are skipped.

use rsgi_tests::http::{self, Response};
use rsgi_tests::{Server, Setup, venv, wait_for};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const FLASK: &str = r#"
import time
from flask import Flask, Response, jsonify, redirect, request, session, stream_with_context, url_for
app = Flask(__name__)
app.secret_key = b'_5#y2L"F4Q8z\n\xec]/'

@app.route('/')
def index():
    if 'username' in session:
        return f'Logged in as {session["username"]}'
    return 'You are not logged in'

@app.route('/login', methods=['GET', 'POST'])
def login():
    if request.method == 'POST':
        session['username'] = request.form['username']
        return redirect(url_for('index'))
    return '<form method="post"><input name=username></form>'

@app.route('/upload', methods=['POST'])
def upload():
    f = request.files['the_file']
    return jsonify(name=f.filename, size=len(f.read()))

@app.route('/stream')
def stream():
    @stream_with_context
    def generate():
        for i in range(3):
            yield f'part{i} of {request.path};'
    return Response(generate(), mimetype='text/plain')

@app.route('/scheme')
def scheme():
    return request.url

@app.route('/error')
def error():
    return 1 / 0
"#;

/// nginx in front of a uwsgi socket; killed when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(server: &Server, backend: u16) -> Option<Nginx> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|p| PathBuf::from(p).is_file())?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let dir = server.dir().display().to_string();
        let params = "QUERY_STRING $query_string|REQUEST_METHOD $request_method|CONTENT_TYPE $content_type|\
            CONTENT_LENGTH $content_length|REQUEST_URI $request_uri|PATH_INFO $document_uri|\
            DOCUMENT_ROOT $document_root|SERVER_PROTOCOL $server_protocol|REQUEST_SCHEME $scheme|\
            REMOTE_ADDR $remote_addr|REMOTE_PORT $remote_port|SERVER_PORT $server_port|SERVER_NAME $server_name";
        let params: String = params.split('|').map(|p| format!("uwsgi_param {p};\n")).collect();
        let conf = format!(
            "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path {dir}/nb; uwsgi_temp_path {dir}/nu; proxy_temp_path {dir}/np;\n\
             fastcgi_temp_path {dir}/nf; scgi_temp_path {dir}/ns; client_max_body_size 100m;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ uwsgi_pass 127.0.0.1:{backend};\n{params} }} }} }}\n"
        );
        std::fs::write(server.dir().join("nginx.conf"), conf).ok()?;
        let child = Command::new(program)
            .args(["-e", &format!("{dir}/nginx.log"), "-c", &format!("{dir}/nginx.conf")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let nginx = Nginx { child, port };
        wait_for("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SAFETY: a signal to our own child: nginx stops its worker and itself
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

/// Cookies that an answer sets, for the next request.
fn cookies(answer: &Response) -> String {
    let set = answer
        .headers
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie"));
    let pairs: Vec<&str> = set.filter_map(|(_, v)| v.split(';').next()).collect();
    pairs.join("; ")
}

/// A request with a cookie and perhaps a body.
fn ask(port: u16, head: &str, cookie: &str, kind: &str, body: &[u8]) -> Response {
    let mut bytes = format!("{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n");
    if !cookie.is_empty() {
        bytes += &format!("Cookie: {cookie}\r\n");
    }
    if !kind.is_empty() {
        bytes += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    http::exchange(port, &bytes)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A multipart body with one file.
fn file_part(field: &str, name: &str, content: &[u8]) -> (String, Vec<u8>) {
    let mut body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    ("multipart/form-data; boundary=edge".to_owned(), body)
}

fn flask_works(port: u16, scheme_and_host: &str) {
    assert_eq!(ask(port, "GET /", "", "", b"").text(), "You are not logged in");
    let login = ask(port, "POST /login", "", FORM, b"username=ada");
    assert_eq!((login.status, login.header("location")), (302, Some("/")));
    assert_eq!(ask(port, "GET /", &cookies(&login), "", b"").text(), "Logged in as ada");
    let (kind, body) = file_part("the_file", "a b.txt", &vec![b'x'; 300_000]);
    let upload = ask(port, "POST /upload", "", &kind, &body).text();
    assert!(upload.contains("\"a b.txt\"") && upload.contains("300000"), "{upload}");
    assert_eq!(
        ask(port, "GET /stream", "", "", b"").text(),
        "part0 of /stream;part1 of /stream;part2 of /stream;"
    );
    assert_eq!(
        ask(port, "GET /scheme?a=b", "", "", b"").text(),
        format!("{scheme_and_host}/scheme?a=b")
    );
    assert_eq!(ask(port, "GET /error", "", "", b"").status, 500);
    assert_eq!(ask(port, "GET /missing", "", "", b"").status, 404);
    assert_eq!(ask(port, "DELETE /login", "", "", b"").status, 405);
}

#[test]
fn flask_on_each_way_in() {
    let Some(venv) = venv::with(&["flask"]) else { return };
    let mut server = Setup::new()
        .file("hello.py", FLASK)
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--socket",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ])
        .args([
            "--virtualenv",
            venv::argument(&venv),
            "--module",
            "hello:app",
            "-p",
            "2",
            "--threads",
            "2",
        ])
        .start();
    server.wait_log("rsgi gateway bound on ", 1);
    let (direct, uwsgi, gateway) = (server.port(), server.port_of_socket(1), server.gateway_port());
    for port in [direct, gateway] {
        flask_works(port, &format!("http://localhost:{port}"));
    }
    match Nginx::start(&server, uwsgi) {
        Some(nginx) => flask_works(nginx.port, &format!("http://localhost:{}", nginx.port)),
        None => rsgi_tests::skipped("no nginx here (apt-get install nginx-light)"),
    }
}

const SETTINGS: &str = r#"
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = 'k' * 50
DEBUG = False
ALLOWED_HOSTS = ['*']
INSTALLED_APPS = ['django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes',
                  'django.contrib.sessions', 'django.contrib.messages', 'django.contrib.staticfiles']
MIDDLEWARE = ['django.middleware.security.SecurityMiddleware', 'django.contrib.sessions.middleware.SessionMiddleware',
              'django.middleware.common.CommonMiddleware', 'django.middleware.csrf.CsrfViewMiddleware',
              'django.contrib.auth.middleware.AuthenticationMiddleware',
              'django.contrib.messages.middleware.MessageMiddleware']
ROOT_URLCONF = 'mysite'
TEMPLATES = [{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True, 'OPTIONS': {
    'context_processors': ['django.template.context_processors.request', 'django.contrib.auth.context_processors.auth',
                           'django.contrib.messages.context_processors.messages']}}]
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'db.sqlite3'}}
STATIC_URL = '/static/'
STATIC_ROOT = BASE_DIR / 'static'
USE_TZ = True
"#;

const MYSITE: &str = r#"
import os
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from django.contrib import admin
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def upload(request):
    f = request.FILES['f']
    return HttpResponse('%s %d' % (f.name, sum(len(c) for c in f.chunks())))

def count(request):
    request.session['n'] = request.session.get('n', 0) + 1
    return HttpResponse(str(request.session['n']))

urlpatterns = [
    path('admin/', admin.site.urls),
    path('upload', upload),
    path('count', count),
    path('stream', lambda r: StreamingHttpResponse(b'%d,' % i for i in range(1000))),
    path('source', lambda r: FileResponse(open(__file__, 'rb'))),
]
"#;

#[test]
fn django_with_its_admin() {
    let Some(venv) = venv::with(&["django"]) else { return };
    let setup = Setup::new().file("settings.py", SETTINGS).file("mysite.py", MYSITE);
    let prepare = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'; django.setup()\n\
        from django.core.management import call_command as c\n\
        c('migrate', verbosity=0); c('collectstatic', verbosity=0, interactive=False)\n\
        from django.contrib.auth.models import User; User.objects.create_superuser('root', 'r@example.org', 'secret')";
    let done = Command::new(venv.join("bin/python"))
        .args(["-c", prepare])
        .current_dir(setup.dir())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let server = setup
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--virtualenv",
            venv::argument(&venv),
            "--module",
            "mysite:application",
        ])
        .args([
            "--chdir",
            "@DIR@",
            "--static-map",
            "/static=@DIR@/static",
            "-p",
            "2",
            "--threads",
            "2",
        ])
        .start();
    let port = server.port();

    let form = ask(port, "GET /admin/login/?next=/admin/", "", "", b"");
    assert_eq!(form.status, 200, "{}", server.log());
    let page = form.text();
    let token = page
        .split("name=\"csrfmiddlewaretoken\" value=\"")
        .nth(1)
        .and_then(|t| t.split('"').next())
        .unwrap();
    let body = format!("csrfmiddlewaretoken={token}&username=root&password=secret&next=/admin/");
    let login = ask(
        port,
        "POST /admin/login/?next=/admin/",
        &cookies(&form),
        FORM,
        body.as_bytes(),
    );
    assert_eq!(
        (login.status, login.header("location")),
        (302, Some("/admin/")),
        "{}",
        login.text()
    );
    let admin = ask(port, "GET /admin/", &cookies(&login), "", b"").text();
    assert!(
        admin.contains("Site administration") && admin.contains("/static/admin/css/base.css"),
        "{admin}"
    );
    let style = ask(port, "GET /static/admin/css/base.css", "", "", b"");
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css")));
    assert!(style.text().contains("DJANGO Admin"), "the file itself");

    let first = ask(port, "GET /count", "", "", b"");
    let second = ask(port, "GET /count", &cookies(&first), "", b"");
    assert_eq!((first.text().as_str(), second.text().as_str()), ("1", "2"));
    let (kind, body) = file_part("f", "big.bin", &vec![b'y'; 3_000_000]);
    assert_eq!(ask(port, "POST /upload", "", &kind, &body).text(), "big.bin 3000000");
    let streamed = ask(port, "GET /stream", "", "", b"").text();
    assert!(streamed.starts_with("0,1,") && streamed.ends_with("998,999,"));
    assert_eq!(
        ask(port, "GET /source", "", "", b"").text(),
        MYSITE,
        "sent with sendfile"
    );
    assert_eq!(ask(port, "GET /admin", "", "", b"").header("location"), Some("/admin/"));
}

/// Spans are exported by a thread that the library starts anew in each worker: preloading does not silence it.
const TELEMETRY: &str = r#"
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
class Notes(SpanExporter):
    def export(self, spans):
        with open("@DIR@/spans", "a") as f:
            for span in spans:
                f.write("%d %s\n" % (os.getpid(), span.name))
        return SpanExportResult.SUCCESS
    def shutdown(self):
        pass
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Notes(), schedule_delay_millis=100))
trace.set_tracer_provider(provider)
def application(env, start):
    with trace.get_tracer("app").start_as_current_span("request"):
        start("200 OK", [])
        return [str(os.getpid()).encode()]
"#;

#[test]
fn spans_of_a_preloaded_application_are_exported_by_its_workers() {
    let Some(venv) = venv::with(&["opentelemetry-sdk"]) else {
        return;
    };
    let mut server = Setup::new()
        .wsgi(TELEMETRY)
        .args(["--virtualenv", venv::argument(&venv), "-p", "2"])
        .start();
    let workers = server.wait_workers(2, &[]);
    let mut seen = std::collections::BTreeSet::new();
    wait_for("an answer of each worker", || {
        seen.insert(server.get("/").text());
        (seen.len() == workers.len()).then_some(())
    });
    wait_for("spans of each worker", || {
        let spans = std::fs::read_to_string(server.dir().join("spans")).unwrap_or_default();
        seen.iter()
            .all(|pid| spans.contains(&format!("{pid} request")))
            .then_some(())
    });
}

/// The cache of the server behind an interface that its users know (cachelib's backend for uWSGI).
const CACHED: &str = r#"
from flask import Flask
from cachelib import UWSGICache
app = Flask(__name__)
cache = UWSGICache(default_timeout=60, cache="pages")
@app.route("/<name>")
def page(name):
    count = (cache.get(name) or 0) + 1
    cache.set(name, count)
    return str(count)
application = app
"#;

#[test]
fn a_cache_library_keeps_its_values_in_the_server() {
    let Some(venv) = venv::with(&["flask", "cachelib"]) else {
        return;
    };
    let server = Setup::new()
        .wsgi(CACHED)
        .args(["--virtualenv", venv::argument(&venv), "-p", "2"])
        .args(["--cache2", "name=pages,items=100"])
        .start();
    for count in 1..=20 {
        assert_eq!(server.get("/page").text(), count.to_string());
    }
    assert_eq!(server.get("/other").text(), "1");
}
