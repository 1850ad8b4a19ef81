//! Pidfiles that only root can write, of a server that gives root's rights away: they stay through reloads.

use rsgi_tests::{Server, Setup, skipped};
use std::os::unix::fs::PermissionsExt;

const APP: &str = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'here']\n";

/// A server in a folder of root's, as a user who may read there and no more. `None`: this is not root.
fn server() -> Option<Server> {
    // SAFETY: no arguments, no failure.
    if unsafe { libc::geteuid() } != 0 {
        skipped("needs root");
        return None;
    }
    let setup = Setup::new().wsgi(APP).args(["--uid", "nobody", "--gid", "nogroup"]);
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(setup.dir(), readable).expect("it is ours");
    Some(
        setup
            .args(["--pidfile", "@DIR@/one.pid", "--safe-pidfile", "@DIR@/two.pid"])
            .start(),
    )
}

fn reload(server: &mut Server) {
    let old = server.workers()[0].1;
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old]);
    assert_eq!(server.get("/").text(), "here");
    assert!(!server.log().contains("cannot serve"), "{}", server.log());
}

#[test]
fn a_reload_leaves_what_is_right() {
    let Some(mut server) = server() else {
        return;
    };
    for _ in 0..2 {
        reload(&mut server);
        for name in ["one.pid", "two.pid"] {
            let text = std::fs::read_to_string(server.dir().join(name)).expect("it is there");
            assert_eq!(text, format!("{}\n", server.pid()));
        }
        assert!(!server.log().contains("cannot write the pidfile"), "{}", server.log());
    }
}

#[test]
fn a_reload_goes_on_without_a_file_that_somebody_removed() {
    let Some(mut server) = server() else {
        return;
    };
    std::fs::remove_file(server.dir().join("one.pid")).expect("it is there");
    reload(&mut server);
    assert!(
        server
            .log()
            .contains("one.pid: Permission denied; the server goes on without it\n"),
        "{}",
        server.log()
    );
}
