//! `--gunicorn-conf`: settings as defaults of options, and what is said of those without an equivalent.

use rsgi_tests::gunicorn::conf;
use rsgi_tests::http::get;
use rsgi_tests::{Setup, wait_for};

/// The options that a configuration becomes, with their origin.
fn shown(text: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let setup = env.iter().fold(conf(text), |setup, (k, v)| setup.env(k, v));
    let ended = setup
        .args(args.iter().copied())
        .args(["--show-config", "--check-config"])
        .run();
    assert_eq!(ended.code, 0, "{}", ended.output);
    ended.output
}

#[test]
fn settings_become_options_below_the_command_line() {
    let text = r#"
import multiprocessing
bind = ["127.0.0.1:8111", "unix:/tmp/x.sock"]
workers = 2 * 2 + 1
threads = 4
worker_class = "gthread"
timeout = 120
graceful_timeout = 40
keepalive = 5
max_requests = 1000
max_requests_jitter = 50
backlog = 64
raw_env = ["DJANGO_SETTINGS_MODULE=a.b", "X=1"]
proc_name = "shop"
pidfile = "/tmp/shop.pid"
preload_app = True
reload = True
reload_extra_files = ["/etc/hosts"]
errorlog = "-"
accesslog = "-"
loglevel = "debug"
pythonpath = "/srv/a,/srv/b"
access_log_format = '%(h)s "%(r)s" %(s)s %({x-request-id}i)s'
"#;
    let output = shown(text, &["--max-requests", "7", "--env", "X=2"], &[]);
    for line in [
        "http-socket = 127.0.0.1:8111",
        "http-socket = /tmp/x.sock",
        "processes = 5",
        "threads = 4",
        "worker-heartbeat = 120",
        "worker-reload-mercy = 40",
        "reload-mercy = 40",
        "keep-alive = 5",
        "max-requests = 7",
        "max-requests-jitter = 50",
        "listen = 64",
        "env = DJANGO_SETTINGS_MODULE=a.b",
        "env = X=2",
        "procname-prefix-spaced = shop",
        "pidfile = /tmp/shop.pid",
        "py-autoreload = 1",
        "touch-reload = /etc/hosts",
        "pythonpath = /srv/a",
        "pythonpath = /srv/b",
        "log-format = %(addr) \"%(method) %(uri) %(proto)\" %(status) %(var.HTTP_X_REQUEST_ID)",
        "worker-boot-error-halt = true",
    ] {
        assert!(output.contains(&format!("\n{line}\n")), "{line:?} in {output}");
    }
    for absent in [
        "max-requests = 1000",
        "env = X=1",
        "harakiri = ",
        "lazy-apps",
        "has no equivalent",
    ] {
        assert!(!output.contains(absent), "{absent:?} in {output}");
    }
    let place = output.split("\nprocesses = 5").next().unwrap().lines().last().unwrap();
    assert!(place.ends_with("gunicorn.conf.py:4"), "{place}");
}

#[test]
fn a_sync_worker_has_a_deadline_per_request_and_loads_by_itself() {
    let output = shown("timeout = 90\n", &[], &[("PORT", "8123"), ("WEB_CONCURRENCY", "3")]);
    for line in [
        "harakiri = 90",
        "worker-heartbeat = 90",
        "lazy-apps = true",
        "http-socket = 0.0.0.0:8123",
        "processes = 3",
    ] {
        assert!(output.contains(&format!("\n{line}\n")), "{line:?} in {output}");
    }
    let output = shown(
        "timeout = 0\nworkers = 2\n",
        &["--socket", ":0"],
        &[("WEB_CONCURRENCY", "3")],
    );
    assert!(
        !output.contains("harakiri") && !output.contains("http-socket"),
        "{output}"
    );
    assert!(output.contains("\nprocesses = 2\n"), "{output}");
}

#[test]
fn settings_without_an_equivalent_are_named_with_the_reason() {
    let text = r#"
worker_tmp_dir = "/dev/shm"
worker_class = "uvicorn.workers.UvicornWorker"
limit_request_line = 8190
limit_request_fields = 100
logger_class = "my.Logger"
statsd_host = "localhost:8125"
certfile = "/x.pem"
def ssl_context(config, factory): return factory()
wokers = 4
access_log_format = "%(h)s %(zz)s"
"#;
    let output = shown(text, &[], &[]);
    for (line, name) in [
        (2, "worker_tmp_dir"),
        (3, "worker_class"),
        (4, "limit_request_line"),
        (6, "logger_class"),
        (7, "statsd_host"),
        (8, "certfile"),
        (9, "ssl_context"),
    ] {
        let found = output
            .lines()
            .find(|l| l.contains(&format!("gunicorn.conf.py:{line}: {name}")))
            .unwrap_or_else(|| panic!("{name} in {output}"));
        assert!(found.contains("has no equivalent: "), "{found}");
    }
    assert!(
        !output.contains("limit_request_fields"),
        "gunicorn's own value is worth no word: {output}"
    );
    assert!(
        output.contains("gunicorn.conf.py:10: wokers is no setting: did you mean workers?"),
        "{output}"
    );
    assert!(output.contains("%(zz)s has no equivalent"), "{output}");
}

#[test]
fn arguments_of_the_environment_count_more_than_the_file() {
    let arguments = "--workers=6 -b 127.0.0.1:8222 --bind unix:/tmp/y.sock --preload --access-logfile - -t30";
    let output = shown("workers = 2\nbind = ':1'\n", &[], &[("GUNICORN_CMD_ARGS", arguments)]);
    for line in [
        "processes = 6",
        "http-socket = 127.0.0.1:8222",
        "http-socket = /tmp/y.sock",
        "harakiri = 30",
    ] {
        assert!(output.contains(&format!("\n{line}\n")), "{line:?} in {output}");
    }
    assert!(!output.contains("lazy-apps") && !output.contains("= :1"), "{output}");
    let ended = conf("").env("GUNICORN_CMD_ARGS", "--no-such-flag 1").run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("--no-such-flag is no option of gunicorn"),
        "{}",
        ended.output
    );
}

#[test]
fn the_file_may_name_the_application_itself() {
    let mut server = Setup::new()
        .file(
            "shop.py",
            "def application(e, s):\n    s('200 OK', [])\n    return [b'shop']\n",
        )
        .file(
            "gunicorn.conf.py",
            "wsgi_app = 'shop'\nbind = '127.0.0.1:0'\nworkers = 2\n",
        )
        .args(["--gunicorn-conf", "gunicorn.conf.py"])
        .start();
    server.wait_log("spawned rsgi worker 2", 1);
    wait_for("the application", || {
        (get(server.port(), "/").text() == "shop").then_some(())
    });
}
