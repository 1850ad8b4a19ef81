//! Servers with a gunicorn configuration.

use crate::Setup;

/// Answers with the value of its query string, or takes its time.
const APP: &str = r#"
import os, time
def application(env, start):
    if env["PATH_INFO"] == "/sleep": time.sleep(60)
    if env["PATH_INFO"] == "/spin":
        while True: pass
    if env["PATH_INFO"] == "/threads":
        time.sleep(0.3)
    start("200 OK", [("Content-Type", "text/plain")])
    return [repr(eval(env["QUERY_STRING"])).encode() if env["QUERY_STRING"] else b"ok"]
"#;

/// A server with this configuration, not yet told where to listen.
pub fn conf(text: &str) -> Setup {
    Setup::new().file("app.py", APP).file("gunicorn.conf.py", text).args([
        "--gunicorn-conf",
        "@DIR@/gunicorn.conf.py",
        "--wsgi-file",
        "@DIR@/app.py",
    ])
}

/// The same on a port of the kernel's choice.
pub fn served(text: &str) -> Setup {
    conf(text).args(["--http-socket", "127.0.0.1:0"])
}
