//! What goes wrong at a start: one line with cause, place and fix, a code other than 0, within a second.

use rsgi_tests::{Ended, Setup, skipped};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const APP: &str = "
def application(env, start_response):
    start_response('200 OK', [])
    return [b'x']
";

/// A debug build on a busy machine gets twice the second that operators are promised, and some air.
const SOON: Duration = Duration::from_millis(2500);

/// Runs a configuration to its end: it must fail soon, with one line that holds all the parts.
fn fails(config: &str, parts: &[&str]) -> Ended {
    fails_in(Setup::new(), config, parts)
}

fn fails_in(setup: Setup, config: &str, parts: &[&str]) -> Ended {
    let setup = setup.file("app.py", APP).file("c.ini", &format!("[uwsgi]\n{config}"));
    let dir = setup.dir().display().to_string();
    let begun = Instant::now();
    let ended = setup.args(["@DIR@/c.ini"]).run();
    assert_ne!(ended.code, 0, "{}", ended.output);
    assert!(begun.elapsed() < SOON, "after {:?}: {}", begun.elapsed(), ended.output);
    let parts: Vec<String> = parts.iter().map(|part| part.replace("@DIR@", &dir)).collect();
    let is_it = |line: &str| parts.iter().all(|part| line.contains(part.as_str()));
    assert!(
        ended.output.lines().any(is_it),
        "no line with {parts:?} in:\n{}",
        ended.output
    );
    ended
}

const SERVE: &str = "http-socket = 127.0.0.1:0\nwsgi-file = @DIR@/app.py\n";

#[test]
fn a_port_in_use_names_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let us = format!("pid {} (", std::process::id());
    for option in ["http-socket", "socket", "shared-socket"] {
        let ended = fails(
            &format!("{option} = {address}\nwsgi-file = @DIR@/app.py\n"),
            &["bind(): Address already in use", "c.ini:2", &us, "choose another port"],
        );
        assert!(
            ended.output.contains("probably another instance of rsgi"),
            "{}",
            ended.output
        );
    }
    fails(
        &format!("{SERVE}stats = {address}\n"),
        &["Address already in use", "c.ini:4", "option stats", &us],
    );
    let ended = fails(
        &format!("http = {address}\nwsgi-file = @DIR@/app.py\n"),
        &["bind(): Address already in use", "c.ini:2, option http"],
    );
    assert!(ended.output.contains(&us), "{}", ended.output);
    assert!(
        !ended.output.contains("-s/--socket option is missing"),
        "{}",
        ended.output
    );
}

#[test]
fn users_groups_and_folders_are_looked_at_first() {
    fails(
        &format!("{SERVE}uid = rooot\n"),
        &["user rooot not found.", "c.ini:4, option uid", "did you mean \"root\"?"],
    );
    fails(
        &format!("{SERVE}add-gid = no-such-group\n"),
        &["group no-such-group not found.", "c.ini:4", "groupadd"],
    );
    for option in ["pidfile", "logto", "daemonize", "master-fifo", "safe-pidfile"] {
        fails(
            &format!("{SERVE}{option} = @DIR@/none/x\n"),
            &[
                "No such file or directory",
                &format!("c.ini:4, option {option}"),
                "the folder @DIR@/none is missing",
            ],
        );
    }
    fails(
        "socket = @DIR@/none/x.sock\n",
        &["c.ini:2", "the folder @DIR@/none is missing; create it"],
    );
    fails(
        &format!("{SERVE}chdir = @DIR@/none\n"),
        &["chdir(): No such file or directory", "c.ini:4, option chdir"],
    );
    fails(
        &format!("{SERVE}chroot = @DIR@/none\n"),
        &["chroot(): No such file or directory", "c.ini:4, option chroot"],
    );
    fails(
        &format!("{SERVE}pidfile = @DIR@\n"),
        &["Is a directory", "c.ini:4, option pidfile"],
    );
}

#[test]
fn a_socket_in_a_folder_of_root_is_explained_to_the_user() {
    // SAFETY: no arguments, no failure.
    if unsafe { libc::geteuid() } != 0 {
        return skipped("needs root");
    }
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let bits = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(setup.dir(), bits(0o755)).unwrap();
    std::fs::create_dir(setup.dir().join("root")).unwrap();
    std::fs::set_permissions(setup.dir().join("root"), bits(0o700)).unwrap();
    fails_in(
        setup,
        "socket = @DIR@/root/x.sock\nuid = nobody\ngid = nogroup\n",
        &["bind(): Permission denied", "nobody may not", "@DIR@/root", "c.ini:2"],
    );
    fails(
        "http-socket = 127.0.0.1:81\nuid = nobody\ngid = nogroup\n",
        &[
            "127.0.0.1:81",
            "Permission denied",
            "shared-socket",
            "cap = net_bind_service",
            "c.ini:2",
        ],
    );
}

#[test]
fn addresses_are_judged_before_anything_else() {
    for (address, why) in [
        ("127.0.0.1:99999", "the most is 65535"),
        ("127.0.0.1:http", "invalid port \"http\""),
        ("8080", "for a port write :8080"),
        ("=3", "names no shared socket"),
    ] {
        fails(&format!("http-socket = {address}\n"), &["c.ini:2", why]);
    }
    fails(
        "http-socket = no-such-host.invalid:80\n",
        &["cannot resolve the host \"no-such-host.invalid\"", "c.ini:2"],
    );
    fails(
        "http-socket = 192.0.2.1:0\n",
        &["no interface of this machine has that address", "c.ini:2"],
    );
}

#[test]
fn plugins_that_are_needed_are_named_with_where_they_were_looked_for() {
    let ended = fails(
        &format!("{SERVE}need-plugin = nosuch\n"),
        &["unable to load plugin \"nosuch\"", "c.ini:4"],
    );
    assert!(
        ended.output.contains("plugin nosuch was looked for in"),
        "{}",
        ended.output
    );
    fails(
        "http-socket = 127.0.0.1:0\nphp-ini = x\n",
        &["c.ini:3: php-ini", "plugin php", "php-fpm"],
    );
}

#[test]
fn applications_that_cannot_be_loaded() {
    let app = |text: &str| Setup::new().file("bad.py", text);
    let config = "http-socket = 127.0.0.1:0\nwsgi-file = @DIR@/bad.py\n";
    for lazy in ["", "lazy-apps = true\n"] {
        let config = format!("{config}{lazy}");
        fails_in(
            app("import nowhere_to_be_found\n"),
            &config,
            &["no module named nowhere_to_be_found", "install it"],
        );
        fails_in(app("x = 1\n"), &config, &["unable to find \"application\" callable"]);
        fails_in(
            app("def application(:\n"),
            &config,
            &["bad.py:1", "does not understand this line"],
        );
    }
    fails(
        "http-socket = 127.0.0.1:0\nmodule = nowhere.wsgi\n",
        &["no module nowhere on sys.path", "--pythonpath"],
    );
    fails(
        "http-socket = 127.0.0.1:0\nwsgi-file = @DIR@/none.py\n",
        &["none.py does not exist"],
    );
    fails(
        &format!("{SERVE}virtualenv = @DIR@/none\n"),
        &["Python Home is not a directory"],
    );
    fails_in(
        {
            let setup = Setup::new();
            std::fs::create_dir(setup.dir().join("empty")).unwrap();
            setup
        },
        &format!("{SERVE}virtualenv = @DIR@/empty\n"),
        &["@DIR@/empty has no bin/python3", "python3 -m venv"],
    );
}

#[test]
fn broken_files_name_their_line() {
    let cases: [(&str, &str, &[&str]); 8] = [
        ("c.ini", "[uwsgi\na = 1\n", &["c.ini:1", "write [uwsgi]"]),
        ("c.ini", "http-socket = :0\n", &["c.ini:1", "write [uwsgi] above it"]),
        ("c.xml", "<uwsgi>\n<a>\n</uwsgi>\n", &["c.xml:3", "not well-formed XML"]),
        (
            "c.yml",
            "uwsgi:\n  a: 1\n b: 2\n",
            &["c.yml:3", "error parsing YAML data"],
        ),
        (
            "c.json",
            "{\"uwsgi\": {\n\"a\": }}\n",
            &["c.json:2", "error parsing JSON data"],
        ),
        (
            "c.toml",
            "[uwsgi]\na = b\n",
            &["c.toml:2", "error parsing TOML data", "quoted"],
        ),
        (
            "c.yml",
            "- a\n- b\n",
            &["c.yml:1", "must be a mapping with the key \"uwsgi\""],
        ),
        (
            "c.toml",
            "[uwsgi]\n[uwsgi.a]\nb = 1\n",
            &["c.toml:2", "must be a text, a number or a list"],
        ),
    ];
    for (name, text, parts) in cases {
        let argument = format!("@DIR@/{name}");
        let ended = Setup::new().file(name, text).args([argument.as_str()]).run();
        assert_eq!(ended.code, 1, "{name}: {}", ended.output);
        let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(ended.output.lines().any(is_it), "{parts:?}: {}", ended.output);
    }
    let ended = Setup::new()
        .file("c.ini", "[uwsgi]\n[dev]\n")
        .args(["@DIR@/c.ini:prod"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("has no section \"prod\": it has uwsgi, dev"),
        "{}",
        ended.output
    );
    let ended = Setup::new().args(["none.ini"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .output
            .contains("none.ini: No such file or directory (a name without a slash"),
        "{}",
        ended.output
    );
}
