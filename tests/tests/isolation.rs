//! Users, groups, capabilities, namespaces, control groups, and who may reach what controls or shows the server.

use rsgi_tests::{Server, Setup, skipped};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const APP: &str = r#"
import os
def application(env, start):
    status = open('/proc/self/status').read()
    fields = dict(line.split(':\t', 1) for line in status.splitlines() if ':\t' in line)
    path = env['PATH_INFO'][1:]
    if path.startswith('ns/'):
        out = os.readlink('/proc/self/' + path)
    elif path == 'parent':
        out = open('/proc/%d/status' % os.getppid()).read().split('Uid:\t')[1].split()[0]
    elif path == 'root':
        out = ' '.join(sorted(os.listdir('/')))
    else:
        out = fields[path]
    start('200 OK', [('Content-Type', 'text/plain')])
    return [out.encode()]
"#;

fn is_root() -> bool {
    // SAFETY: no arguments, no failure.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        skipped("needs root");
    }
    root
}

/// A server whose folder its user may write to.
fn setup(args: &[&str]) -> Setup {
    let setup = Setup::new().wsgi(APP).args(args.iter().copied());
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(setup.dir(), everybody).unwrap();
    setup
}

fn status(server: &Server, field: &str) -> String {
    let text = server.get(&format!("/{field}")).text();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn user_and_groups_by_name_and_by_number() {
    if !is_root() {
        return;
    }
    let server = setup(&[
        "--uid",
        "nobody",
        "--gid",
        "nogroup",
        "--add-gid",
        "games",
        "--add-gid",
        "4711",
    ])
    .start();
    assert_eq!(status(&server, "Uid"), "65534 65534 65534 65534");
    assert_eq!(status(&server, "Gid"), "65534 65534 65534 65534");
    let groups = status(&server, "Groups");
    let groups: Vec<&str> = groups.split(' ').collect();
    assert!(groups.contains(&"4711") && !groups.contains(&"0"), "{groups:?}");
    assert_eq!(groups.len(), 3, "{groups:?}");
    assert_eq!(server.log().matches("setuid() to 65534").count(), 1, "{}", server.log());

    let server = setup(&["--uid", "65534", "--gid", "65534", "--no-initgroups"]).start();
    assert_eq!(status(&server, "Uid").split(' ').next(), Some("65534"));
    assert_eq!(status(&server, "Groups"), "");
}

#[test]
fn capabilities_outlive_the_user_and_a_reload() {
    if !is_root() {
        return;
    }
    let mut server = setup(&["--uid", "nobody", "--gid", "nogroup", "--cap", "net_bind_service,kill"]).start();
    // 1 << 10 | 1 << 5
    assert_eq!(status(&server, "CapEff"), "0000000000000420");
    assert!(
        server.log().contains("capabilities kept: kill, net_bind_service"),
        "{}",
        server.log()
    );
    let old = server.workers()[0].1;
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old]);
    rsgi_tests::wait_for("the new worker", || {
        (status(&server, "CapEff") == "0000000000000420").then_some(())
    });

    let server = setup(&["--uid", "nobody", "--gid", "nogroup"]).start();
    assert_eq!(status(&server, "CapEff"), "0000000000000000");
    assert_eq!(status(&server, "NoNewPrivs"), "0");
    let server = setup(&["--no-new-privs"]).start();
    assert_eq!(status(&server, "NoNewPrivs"), "1");

    let ended = setup(&["--cap", "fly"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("--cap: unknown capability \"fly\""),
        "{}",
        ended.output
    );
}

#[test]
fn the_master_may_stay_root_and_apps_may_be_loaded_as_root() {
    if !is_root() {
        return;
    }
    let server = setup(&["--uid", "nobody", "--gid", "nogroup", "--master-as-root"]).start();
    assert_eq!(status(&server, "Uid").split(' ').next(), Some("65534"));
    assert_eq!(status(&server, "Groups").split(' ').find(|g| *g == "0"), None);
    assert_eq!(status(&server, "parent"), "0");

    let app = format!("import os\nprint('LOADED AS', os.getuid(), flush=True)\n{APP}");
    let mut server = setup(&["--uid", "nobody", "--gid", "nogroup", "--drop-after-apps"])
        .file("app.py", &app)
        .start();
    server.wait_log("LOADED AS 0", 1);
    assert_eq!(status(&server, "Uid").split(' ').next(), Some("65534"));
}

#[test]
fn a_shared_socket_is_bound_as_root() {
    if !is_root() {
        return;
    }
    let setup = Setup::new().file("app.py", APP).args(["--wsgi-file", "@DIR@/app.py"]);
    // root's folder: the user of the workers could not bind in it
    std::fs::create_dir(setup.dir().join("root")).unwrap();
    std::fs::set_permissions(setup.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = setup
        .args(["--shared-socket", "@DIR@/root/s.sock", "--http-socket", "=0"])
        .args([
            "--uid",
            "nobody",
            "--gid",
            "nogroup",
            "--chmod-socket=660",
            "--chown-socket",
            "root:games",
        ])
        .start();
    let meta = std::fs::metadata(server.dir().join("root/s.sock")).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.uid()), (0o660, 0));
    assert_ne!(meta.gid(), 0);
}

#[test]
fn namespaces_are_made_and_joined() {
    if !is_root() {
        return;
    }
    let here = |kind: &str| {
        std::fs::read_link(format!("/proc/self/ns/{kind}"))
            .unwrap()
            .display()
            .to_string()
    };
    let first = setup(&["--unshare", "uts,ipc"]).start_unready();
    let mut first = first;
    let outcome = rsgi_tests::wait_for("namespaces or a refusal", || {
        let log = first.log();
        let refused = log.contains("unshare(): ");
        (refused || log.contains("spawned rsgi worker 1")).then_some(!refused)
    });
    if !outcome {
        return skipped("this machine allows no new namespaces");
    }
    first.wait_workers(1, &[]);
    let (uts, ipc) = (first.get("/ns/uts").text(), first.get("/ns/ipc").text());
    assert_ne!(uts, here("uts"));
    assert_ne!(ipc, here("ipc"));
    let file = format!("/proc/{}/ns/uts", first.pid());
    let second = setup(&["--setns", &file]).start();
    assert_eq!(second.get("/ns/uts").text(), uts);
    assert_eq!(second.get("/ns/ipc").text(), here("ipc"));
}

#[test]
fn what_cannot_be_isolated_ends_the_start_with_its_place() {
    let ended = setup(&["--unshare", "moon"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("--unshare: unknown kind of namespace \"moon\""),
        "{}",
        ended.output
    );
    let ended = setup(&["--cgroup", "/no/such/cgroup"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .output
            .contains("cgroup /no/such/cgroup: No such file or directory (option --cgroup)"),
        "{}",
        ended.output
    );
    let ended = setup(&["--setns", "/no/such"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("setns /no/such: No such file or directory"),
        "{}",
        ended.output
    );
}

#[test]
fn another_root_directory() {
    if !is_root() {
        return;
    }
    let server = Setup::new()
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--chroot",
            "@DIR@",
            "--static-map",
            "/=/",
        ])
        .args(["--uid", "65534", "--gid", "65534", "--add-gid", "games"])
        .file("inside", "in the jail");
    std::fs::set_permissions(server.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = server.start();
    assert_eq!(server.get("/inside").text(), "in the jail");
}

#[test]
fn control_and_statistics_are_for_this_machine_and_this_user() {
    let mut server = setup(&["--master-fifo", "@DIR@/fifo", "--stats", ":0"]).start();
    let fifo = std::fs::metadata(server.dir().join("fifo")).unwrap();
    assert_eq!(fifo.mode() & 0o077, 0, "{:o}", fifo.mode());
    server.wait_log("is bound to 127.0.0.1:0", 1);
    server.wait_log("Stats server enabled on 127.0.0.1:", 1);
    let mut server = setup(&["--stats", "0.0.0.0:0"]).start();
    server.wait_log("whoever reaches 0.0.0.0:0 can read the statistics", 1);
    server.wait_log("Stats server enabled on 0.0.0.0:", 1);
}
