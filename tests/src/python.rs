//! Python code run inside a worker: what tests of the `uwsgi` module ask, and the answers.

use crate::{Server, http};

/// An application that evaluates what is posted to it: the value's `repr()`, or the exception's name and text. What
/// `DIR` names is the folder of the test.
pub const EVAL_APP: &str = r#"
import os, sys, threading, time
import uwsgi
DIR = "@DIR@"
def note(*words):
    fd = os.open(DIR + "/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (" ".join(str(w) for w in words) + "\n").encode())
    os.close(fd)
def application(env, start_response):
    code = env["wsgi.input"].read().decode()
    try:
        try:
            answer = repr(eval(code, globals()))
        except SyntaxError:
            globals().pop("r", None)
            exec(code, globals())
            answer = repr(globals().get("r"))
    except Exception as e:
        answer = "%s: %s" % (type(e).__name__, e)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
"#;

/// Runs an expression, or statements that leave their result in `r`, in a worker.
pub fn eval(server: &Server, code: &str) -> String {
    http::post(server.port(), "/", code.as_bytes()).text()
}
