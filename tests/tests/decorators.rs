//! `uwsgidecorators`: each decorator does in the right process what it is named for.

use rsgi_tests::{Server, Setup, http, venv, wait_for};

const APP: &str = r#"
import os, threading, time, uwsgi
import uwsgidecorators
from uwsgidecorators import *
assert os.environ["DECORATORS"] in uwsgidecorators.get_free_signal.__code__.co_filename
def note(*words):
    with open("@DIR@/notes", "a") as f:
        f.write(" ".join(map(str, words)) + "\n")
def who():
    if uwsgi.i_am_the_spooler(): return "spooler"
    return "mule%d" % uwsgi.mule_id() if uwsgi.mule_id() else "worker%d" % uwsgi.worker_id()

@postfork
def everywhere(): note("postfork", who())
@postfork(2)
def second(): note("second", who())

@spool
def plain(args): note("spool", who(), args["a"], args.get("body")); raise_once("plain")
@spool(pass_arguments=True)
def passing(*args, **kwargs): note("passing", who(), args, sorted(kwargs.items()))
@spoolraw
def raw(args):
    note("raw", who(), args["n"])
    return uwsgi.SPOOL_OK if os.path.exists("@DIR@/enough") else uwsgi.SPOOL_RETRY
@spoolforever
def forever(args): note("forever", who())
def raise_once(name):
    if not os.path.exists("@DIR@/" + name):
        open("@DIR@/" + name, "w").close()
        raise Exception("the first time goes wrong")

@mulefunc
def anywhere(*args, **kwargs): note("anywhere", who()[:4], args, kwargs)
@mulefunc(2)
def there(n): note("there", who(), n)
@mulefunc("crew")
def crew(n): note("crew", who(), n)

@timer(1, target="mule1")
def tick(n): note("timer", who())
@rbtimer(1, target="spooler")
def rbtick(n): note("rbtimer", who())
@filemon("@DIR@/watched", target="worker1")
def changed(n): note("filemon", who())
@cron(-1, -1, -1, -1, -1, target="worker2")
def minutely(n): note("cron", who())
@signal(200, target="worker1")
def handler(n): note("signal", who(), n)

@lock
def locked(): note("lock", uwsgi.is_locked(0)); return 7
@thread
def aside(): note("thread", threading.current_thread() is threading.main_thread())
@harakiri(30)
def limited(): return "limited"

def application(env, start_response):
    start_response("200 OK", [])
    plain({"a": "1", "body": b"B"}); passing.spool(1, x="y"); raw(n="5"); forever(a="b")
    anywhere(1, k=2); there(3); crew(4)
    uwsgi.signal(200)
    aside()
    open("@DIR@/watched", "a").write("more")
    return [("%s %s" % (locked(), limited())).encode()]
"#;

fn noted(server: &Server, what: &str, count: usize) {
    wait_for(&format!("{count} notes of {what}"), || {
        let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        (text.lines().filter(|line| *line == what).count() >= count).then_some(())
    });
}

#[test]
fn each_decorator_does_what_it_is_named_for() {
    each_does_its_work(Setup::new().env("DECORATORS", "of rsgi"));
}

/// The file that comes with uWSGI, from PyPI as it is, over our module.
#[test]
fn so_do_the_decorators_that_others_wrote() {
    let Some(venv) = venv::with(&["uwsgidecorators"]) else {
        return;
    };
    let setup = Setup::new().env("DECORATORS", "site-packages");
    each_does_its_work(setup.args(["--virtualenv", venv::argument(&venv)]));
}

fn each_does_its_work(setup: Setup) {
    let mut server = setup
        .file("watched", "")
        .wsgi(APP)
        .args(["-p", "2", "--enable-threads", "--mules", "3", "--farm", "crew:3"])
        .args(["--spooler", "@DIR@/sp", "--spooler-frequency", "1"])
        .start();
    for process in ["worker1", "worker2", "mule1", "mule2", "mule3", "spooler"] {
        noted(&server, &format!("postfork {process}"), 1);
    }
    noted(&server, "second worker2", 1);
    server.wait_log("[uwsgi-fs] registered monitor for", 1);
    assert_eq!(http::get(server.port(), "/").text(), "7 limited");
    // an exception is a reason to try again
    noted(&server, "spool spooler 1 B", 2);
    noted(&server, "passing spooler (1,) [('x', 'y')]", 1);
    noted(&server, "raw spooler 5", 2);
    noted(&server, "forever spooler", 3);
    noted(&server, "anywhere mule (1,) {'k': 2}", 1);
    noted(&server, "there mule2 3", 1);
    noted(&server, "crew mule3 4", 1);
    noted(&server, "timer mule1", 2);
    noted(&server, "rbtimer spooler", 2);
    noted(&server, "filemon worker1", 1);
    noted(&server, "signal worker1 200", 1);
    noted(&server, "lock True", 1);
    noted(&server, "thread False", 1);
    let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
    assert_eq!(text.matches("second ").count(), 1, "{text}");
    assert_eq!(text.matches("passing ").count(), 1, "{text}");
    std::fs::write(server.dir().join("enough"), "").expect("the folder is writable");
    // what is left is what runs for ever
    wait_for("the end of the raw task", || {
        let left = std::fs::read_dir(server.dir().join("sp")).ok()?;
        (left.count() == 1).then_some(())
    });
}
