//! What `make install` leaves: a tree that works where it lies, found by pkg-config, with nothing of the build in it.

use rsgi_tests::http::get;
use rsgi_tests::{Setup, build_dir, program, skipped};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What `make install` installs if nothing is said.
const PARTS: &[&str] = &[
    "rsgi-core",
    "rsgi-plugin-python3",
    "rsgi-plugin-lua5.4",
    "rsgi-plugin-http",
    "rsgi-loggers",
    "librsgi1",
    "rsgi-dev",
];

/// Modes and paths of the files of packages, under `/usr`.
fn listed(packages: &[&str]) -> Vec<(String, String)> {
    let output = Command::new("packaging/install.sh")
        .arg("--list")
        .args(packages)
        .env("PREFIX", "/usr")
        .current_dir(TOP)
        .output()
        .expect("the script can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let split = |line: &str| {
        line.split_once(' ')
            .map(|(mode, path)| (mode.to_owned(), path.to_owned()))
    };
    text.lines().map(|line| split(line).expect("MODE PATH")).collect()
}

fn make_install(variables: &[String]) {
    make("install", variables);
}

/// What scripts make for their work is gone after it.
fn assert_nothing_is_left(temporary: &Path) {
    let left: Vec<_> = std::fs::read_dir(temporary).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?} is left in $TMPDIR");
}

fn make(target: &str, variables: &[String]) {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let output = Command::new("make")
        .args(["-s", target])
        .arg(format!("RELEASE={}", build_dir().display()))
        .args(variables)
        .env("TMPDIR", temporary.path())
        .current_dir(TOP)
        .output()
        .expect("make can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_nothing_is_left(temporary.path());
}

fn pkg_config(prefix: &Path, question: &str) -> String {
    let output = Command::new("pkg-config")
        .args([question, "rsgi"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .expect("pkg-config can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Pages are read where they were installed, too: what they name is there.
fn assert_links_lead_somewhere(folder: &Path) {
    let pages = Command::new("find").arg(folder).args(["-name", "*.md"]).output();
    let pages = String::from_utf8(pages.expect("find can be run").stdout).expect("text");
    assert!(pages.lines().count() > 30, "{pages}");
    for page in pages.lines().map(Path::new) {
        let text = std::fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_ours = !file.is_empty() && !file.contains("://") && !file.contains(char::is_whitespace);
            let there = page.with_file_name(file).exists();
            assert!(!is_ours || there, "{}: {link}", page.display());
        }
    }
}

#[test]
fn packagers_find_everything_in_its_place() {
    let root = tempfile::tempdir().expect("a temporary folder can be made");
    make_install(&[format!("DESTDIR={}", root.path().display()), "PREFIX=/usr".into()]);
    for (mode, file) in listed(PARTS) {
        let path = root.path().join(file.trim_start_matches('/'));
        let metadata = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(metadata.len() > 0, "{} is empty", path.display());
        if mode == "link" {
            assert!(std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()));
            continue;
        }
        let bits = u32::from_str_radix(&mode, 8).expect("a mode in octal");
        assert_eq!(metadata.permissions().mode() & 0o777, bits, "{}", path.display());
    }
    assert_links_lead_somewhere(&root.path().join("usr/share/doc/rsgi-core"));
    let manifest = root.path().join("usr/share/rsgi/plugin-api/Cargo.toml");
    let told = Command::new("cargo")
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(&manifest)
        .output()
        .expect("cargo can be run");
    let words = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "the crate does not stand alone: {words}");
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(
        words.contains(&version) && words.contains("\"edition\":\"2024\""),
        "{words}"
    );
    let page = std::fs::read_to_string(root.path().join("usr/share/man/man1/rsgi.1")).expect("it is there");
    assert!(page.contains("Plugin python") && page.contains("wsgi\\-file") && page.contains("Plugin http"));
    assert!(!page.contains("Plugin greeter"), "an example is in the page");
    let pc = std::fs::read_to_string(root.path().join("usr/lib/pkgconfig/rsgi.pc")).expect("it is there");
    assert!(pc.contains("prefix=/usr\n") && !pc.contains('@'), "{pc}");
    assert!(!pc.contains(&root.path().display().to_string()), "{pc}");
    make(
        "uninstall",
        &[format!("DESTDIR={}", root.path().display()), "PREFIX=/usr".into()],
    );
    let left = Command::new("find")
        .arg(root.path())
        .args(["!", "-type", "d", "-o", "-name", "rsgi*"])
        .output();
    let left = String::from_utf8(left.expect("find can be run").stdout).expect("text");
    assert_eq!(left, "", "uninstall leaves files or folders");
    assert!(
        root.path().join("usr/lib/pkgconfig").is_dir(),
        "a folder of others is gone"
    );
}

#[test]
fn an_installed_tree_serves_and_hosts_plugins_built_with_pkg_config() {
    let setup = Setup::new().file(
        "greet.c",
        "#include <uwsgi.h>\nstatic int init(void) { uwsgi_log(\"installed plugin in rsgi %s\\n\", uwsgi.version); return 0; }\n\
         struct uwsgi_plugin greet_plugin = { .name = \"greet\", .init = init };\n",
    );
    let prefix = setup.dir().join("opt");
    make_install(&[format!("PREFIX={}", prefix.display())]);
    let version = pkg_config(&prefix, "--modversion");
    let plugins = pkg_config(&prefix, "--variable=plugindir");
    let build = format!(
        "gcc -shared -fPIC {} -o {plugins}/greet_plugin.so greet.c",
        pkg_config(&prefix, "--cflags")
    );
    let built = Command::new("sh")
        .args(["-c", &build])
        .current_dir(setup.dir())
        .status()
        .expect("sh can be run");
    assert!(built.success(), "{build}");
    let mut server = setup
        .program(prefix.join("bin/rsgi"))
        .args(["--plugin", "greet", "--http", "127.0.0.1:0"])
        .file(
            "app.py",
            "def application(e, sr):\n    sr('200 OK', [])\n    return [b'installed']\n",
        )
        .args(["--wsgi-file", "@DIR@/app.py", "--master"])
        .start();
    server.wait_log("spawned rsgi http 1", 1);
    assert_eq!(get(server.gateway_port(), "/").text(), "installed");
    assert!(
        server.log().contains(&format!("installed plugin in rsgi {version}\n")),
        "{}",
        server.log()
    );
}

/// What packagers of other systems run on what their package manager has unpacked.
#[test]
fn a_tree_is_judged_by_the_list() {
    let root = tempfile::tempdir().expect("a temporary folder can be made");
    make_install(&[format!("DESTDIR={}", root.path().display()), "PREFIX=/usr".into()]);
    let judge = || {
        let output = Command::new("packaging/tree.sh")
            .arg(root.path())
            .args(PARTS)
            .env("PREFIX", "/usr")
            .current_dir(TOP)
            .output()
            .expect("the script can be run");
        let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), words.into_owned())
    };
    let (good, words) = judge();
    assert!(good, "{words}");
    for line in ["it serves\n", "plugins and programs are built with it\n"] {
        assert!(words.contains(line), "{words}");
    }
    let header = root.path().join("usr/include/rsgi/uwsgi.h");
    std::fs::rename(&header, header.with_extension("old")).expect("it is ours");
    let (good, words) = judge();
    assert!(!good && words.contains("< /usr/include/rsgi/uwsgi.h\n"), "{words}");
    assert!(words.contains("> /usr/include/rsgi/uwsgi.old\n"), "{words}");
}

/// Runs a command that may not be installed; `None`: it is not.
fn run(name: &str, arguments: &[&str], dir: &Path) -> Option<Output> {
    match Command::new(name).args(arguments).current_dir(dir).output() {
        Ok(output) => Some(output),
        Err(_) => {
            skipped(&format!("no {name}"));
            None
        }
    }
}

#[test]
fn the_list_has_every_plugin_of_the_workspace() {
    let files = listed(PARTS);
    let plugins = std::fs::read_dir(Path::new(TOP).join("plugins")).expect("it is there");
    for plugin in plugins {
        let name = plugin.expect("it can be read").file_name();
        let end = format!("/{}_plugin.so", name.to_string_lossy());
        assert!(
            files.iter().any(|(_, path)| path.ends_with(&end)),
            "no {end} in packaging/files"
        );
    }
    let output = Command::new("packaging/install.sh")
        .args(["--list", "rsgi-nothing"])
        .current_dir(TOP)
        .output()
        .expect("the script can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && words.contains("no package rsgi-nothing"),
        "{words}"
    );
}

#[test]
fn manual_pages_are_good_roff() {
    let setup = Setup::new();
    for (page, program_name, argument) in [
        ("rsgi.1", "rsgi", "--man"),
        ("rsgi.ini.5", "rsgi", "--man=rsgi.ini"),
        ("rsgi-plugin.7", "rsgi", "--man=rsgi-plugin"),
        ("uwsgiconfig.1", "uwsgiconfig", "--man"),
    ] {
        let output = Command::new(program(program_name))
            .arg(argument)
            .output()
            .expect("it can be run");
        std::fs::write(setup.dir().join(page), output.stdout).expect("the folder is writable");
        for width in ["60n", "80n", "132n"] {
            let arguments = ["-man", "-Tutf8", "-ww", &format!("-rLL={width}"), page];
            let Some(shown) = run("groff", &arguments, setup.dir()) else {
                return;
            };
            assert_eq!(String::from_utf8_lossy(&shown.stderr), "", "{page}");
            assert!(shown.stdout.len() > 1000, "{page}");
        }
    }
    let wrong = Command::new(program("rsgi"))
        .args(["--man", "nothing"])
        .output()
        .expect("it can be run");
    let words = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        words.contains("there is no page \"nothing\" (there are rsgi, rsgi.ini, rsgi-plugin)"),
        "{words}"
    );
}

#[test]
fn shells_complete_options() {
    let setup = Setup::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(program("rsgi"))
            .args(["--completion", shell])
            .output()
            .expect("it can be run");
        assert!(output.status.success());
        std::fs::write(setup.dir().join(shell), output.stdout).expect("the folder is writable");
        if let Some(checked) = run(shell, &["-n", shell], setup.dir()) {
            assert!(
                checked.status.success(),
                "{shell}: {}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
    let ask = |words: &str, at: usize| {
        let script = format!(". ./bash; COMP_WORDS=({words}); COMP_CWORD={at}; _rsgi; echo \"${{COMPREPLY[@]}}\"");
        let output = run("bash", &["-c", &script], setup.dir()).expect("the tests need bash");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(ask("rsgi --harakiri-v", 1), "--harakiri-verbose");
    assert_eq!(ask("rsgi --explain safe-pid", 2), "safe-pidfile safe-pidfile2");
    assert_eq!(ask("rsgi --ini fis", 2), "fish");
    assert_eq!(ask("rsgi --processes fis", 2), "");
    assert_eq!(ask("rsgi to", 1), "top");
    let asked = [
        ("rsgi --harakiri-v", "--harakiri-verbose"),
        ("rsgi --explain safe-pidfile", "safe-pidfile2"),
        ("rsgi to", "top"),
    ];
    for (typed, offered) in asked {
        let script = format!("source ./fish; complete -C '{typed}'");
        if let Some(output) = run("fish", &["--no-config", "-c", &script], setup.dir()) {
            let words = String::from_utf8_lossy(&output.stdout);
            let mut candidates = words.lines().filter_map(|line| line.split('\t').next());
            assert!(candidates.any(|one| one == offered), "fish: {typed}: {words}");
        }
    }
    // zsh completes at a terminal alone: one that zsh makes itself
    let home = setup.dir().display().to_string();
    std::fs::copy(setup.dir().join("zsh"), setup.dir().join("_rsgi")).expect("the folder is writable");
    for (typed, completed) in [
        ("rsgi --harakiri-v", "rsgi --harakiri-verbose"),
        ("rsgi --explain harakiri-v", "rsgi --explain harakiri-verbose"),
        ("rsgi to", "rsgi top"),
    ] {
        let script = format!(
            "zmodload zsh/zpty; zpty shell zsh -f -i\n\
             zpty -w shell 'fpath=({home} $fpath); autoload -U compinit; compinit -u -d {home}/dump; unsetopt zle_bracketed_paste'\n\
             zpty -w shell 'print BEGUN$((40 + 2))'; zpty -r -m shell begun '*BEGUN42*'\n\
             zpty -w -n shell '{typed}'$'\\t'; zpty -r -m shell shown '*{completed}*'\n\
             print -r -- \"$shown\"; zpty -d shell\n"
        );
        std::fs::write(setup.dir().join("ask"), script).expect("the folder is writable");
        if let Some(output) = run("timeout", &["20", "zsh", "-f", "ask"], setup.dir()) {
            let words = String::from_utf8_lossy(&output.stdout);
            let has_zsh = output.status.code() != Some(127);
            assert!(!has_zsh || words.contains(completed), "zsh: {typed}: {words:?}");
        }
    }
}

#[test]
fn a_link_named_uwsgi_loads_the_plugin_of_its_name() {
    let setup = Setup::new().file(
        "app.py",
        "def application(e, sr):\n    sr('200 OK', [])\n    return [b'linked']\n",
    );
    // the places of Debian's packages of uWSGI: alternatives of one program
    let link = setup.dir().join("uwsgi_python3");
    std::os::unix::fs::symlink(program("rsgi"), &link).expect("the folder is writable");
    let plugins = build_dir().display().to_string();
    let server = setup
        .program(link)
        .args([
            "--plugins-dir",
            &plugins,
            "--classic-defaults",
            "--master",
            "--http-socket",
            "127.0.0.1:0",
        ])
        .args(["--wsgi-file", "@DIR@/app.py"])
        .start();
    assert_eq!(get(server.port(), "/").text(), "linked");
}

/// The packages of the list, in its order.
fn packages() -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(TOP).join("packaging/files")).expect("it is there");
    let mut names: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("rsgi-") || line.starts_with("lib"))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    names.dedup();
    names
}

#[test]
fn every_format_has_the_packages_of_the_list() {
    let read = |name: &str| std::fs::read_to_string(Path::new(TOP).join(name)).expect("it is there");
    let names = packages();
    let deb = read("packaging/deb/control");
    let deb: Vec<&str> = deb.lines().filter_map(|l| l.strip_prefix("Package: ")).collect();
    assert_eq!(deb, names);
    let rpm = read("packaging/rpm/rsgi.spec");
    assert!(rpm.contains(&format!("%global names {}\n", names.join(" "))));
    let arch = read("packaging/arch/PKGBUILD");
    assert!(arch.contains(&format!("pkgname=({})\n", names.join(" "))));
    for name in &names {
        let short = match name.strip_prefix("rsgi-") {
            Some(part) => part.to_owned(),
            None => format!("-n {name}"),
        };
        assert!(rpm.contains(&format!("%files {short} -f {name}.files\n")), "{name}");
        assert!(arch.contains(&format!("package_{name}() {{\n")), "{name}");
    }
    let entry = format!("> - {}-1\n", env!("CARGO_PKG_VERSION"));
    assert!(rpm.contains(&entry), "%changelog of the spec has another version");
    for (file, form) in [
        ("packaging/rpm/rsgi.spec", "\nVersion:        "),
        ("packaging/arch/PKGBUILD", "\npkgver="),
    ] {
        let version = format!("{form}{}\n", env!("CARGO_PKG_VERSION"));
        assert!(read(file).contains(&version), "{file} has another version");
    }
}

#[test]
fn debian_packages_are_whole_and_the_same_each_time() {
    let setup = Setup::new();
    if run("dpkg-shlibdeps", &["--version"], setup.dir()).is_none() {
        return;
    }
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let build = |folder: &str| {
        let output = setup.dir().join(folder);
        let made = Command::new("packaging/deb/build.sh")
            .arg(&output)
            .env("TMPDIR", temporary.path())
            .env("RELEASE", build_dir())
            .env("DEB_FLAGS", "-Znone")
            .current_dir(TOP)
            .output()
            .expect("the script can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut files: Vec<_> = std::fs::read_dir(output).expect("it was made").flatten().collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        files.into_iter().map(|file| file.path()).collect::<Vec<_>>()
    };
    let (first, second) = (build("first"), build("second"));
    assert_nothing_is_left(temporary.path());
    assert_eq!(first.len(), packages().len());
    for (one, two) in first.iter().zip(&second) {
        let [one, two] = [one, two].map(|path| std::fs::read(path).expect("it can be read"));
        assert!(one == two, "two builds of one package differ");
    }
    for name in packages() {
        let package = first
            .iter()
            .find(|path| path.display().to_string().contains(&format!("/{name}_")));
        let package = package.unwrap_or_else(|| panic!("no {name}")).display().to_string();
        let tell = |question: &str| {
            let output = run("dpkg-deb", &[question, &package], setup.dir()).expect("it comes with dpkg-shlibdeps");
            String::from_utf8(output.stdout).expect("text")
        };
        let (contents, fields) = (tell("--contents"), tell("--field"));
        for (_, path) in listed(&[name.as_str()]) {
            // packed, or where Debian has them
            let known = ["/LICENSE-", "/zsh/", "/pkgconfig/", "/systemd/"]
                .iter()
                .any(|part| path.contains(part));
            assert!(
                known || contents.contains(&format!(" .{path}")),
                "{name}: {path} is not in\n{contents}"
            );
        }
        assert!(contents.contains("root/root") && !contents.contains(&setup.dir().display().to_string()));
        if name.contains("plugin") {
            assert!(fields.contains("rsgi-abi-1"), "{fields}");
        }
    }
}

#[test]
fn units_are_good() {
    let setup = Setup::new();
    make_install(&[
        format!("PREFIX={}", setup.dir().display()),
        "PACKAGES=rsgi-core rsgi-emperor".into(),
    ]);
    for unit in ["rsgi-emperor.service", "rsgi@.service"] {
        let path = format!("lib/systemd/system/{unit}");
        let text = std::fs::read_to_string(setup.dir().join(&path)).expect("it is there");
        for protection in [
            "NoNewPrivileges=true",
            "ProtectSystem=strict",
            "CapabilityBoundingSet=\n",
        ] {
            assert!(text.contains(protection), "{unit}: no {protection}");
        }
        let Some(checked) = run("systemd-analyze", &["verify", "--man=no", &path], setup.dir()) else {
            return;
        };
        assert_eq!(String::from_utf8_lossy(&checked.stderr), "", "{unit}");
    }
}

#[test]
fn a_server_called_uwsgi_keeps_its_name_over_reloads() {
    let setup = Setup::new();
    let folder = setup.dir().join("bin");
    std::fs::create_dir(&folder).expect("the folder is writable");
    std::os::unix::fs::symlink(program("rsgi"), folder.join("uwsgi")).expect("the folder is writable");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let plugins = build_dir().display().to_string();
    let mut server = setup
        .program("uwsgi".into())
        .env("PATH", &path)
        .wsgi("def application(e, sr):\n    sr('200 OK', [])\n    return [b'named']\n")
        .args(["--plugins-dir", &plugins, "--master"])
        .start();
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert_eq!(name(server.pid()), "uwsgi\n");
    server.signal(libc::SIGHUP);
    server.wait_log("WSGI app 0", 2);
    server.wait_log("spawned rsgi worker 1", 2);
    assert_eq!(name(server.pid()), "uwsgi\n");
    assert_eq!(get(server.port(), "/").text(), "named");
}

#[test]
fn the_pkgbuild_and_the_spec_can_be_read() {
    let setup = Setup::new();
    let arch = Path::new(TOP)
        .join("packaging/arch")
        .canonicalize()
        .expect("it is there");
    // of a package whose files need no build
    let script = format!(
        "set -eu; startdir={0}; . {0}/PKGBUILD; pkgname=rsgi-emperor pkgdir={1}/root; package_rsgi-emperor; \
         echo \"${{backup[@]}}\"; grep -h ^User= \"$pkgdir\"/usr/lib/systemd/system/rsgi-emperor.service",
        arch.display(),
        setup.dir().display()
    );
    let output = run("bash", &["-c", &script], setup.dir()).expect("the tests need bash");
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert_eq!(words, "etc/rsgi/emperor.ini etc/logrotate.d/rsgi-emperor\nUser=http\n");
    for (_, path) in listed(&["rsgi-emperor"]) {
        assert!(
            setup.dir().join("root").join(path.trim_start_matches('/')).exists(),
            "{path}"
        );
    }
    let spec = Path::new(TOP).join("packaging/rpm/rsgi.spec").display().to_string();
    if let Some(parsed) = run(
        "rpmspec",
        &["-P", "--define", "systemd_requires Requires: systemd", &spec],
        setup.dir(),
    ) {
        let words = String::from_utf8_lossy(&parsed.stderr);
        assert!(parsed.status.success(), "{words}");
        assert!(String::from_utf8_lossy(&parsed.stdout).contains("Provides:       rsgi-abi = 1"));
    }
}
