//! What can be known to be wrong before anything is started: users, folders, ports. Every problem at once, each with
//! its place and what to do. Asked by the start of a first image and by `--check-config`.

use crate::net::address::Address;
use crate::net::holder;
use crate::options::{suggestion, table};
use crate::settings::{EnvironmentChange, Settings};
use nix::unistd::{AccessFlags, Group, Uid, User, access};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Everything that will make the start fail.
pub fn problems(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    users(settings, &mut found);
    if let Some(root) = &settings.privileges.chroot {
        directory("chroot", "chroot", Path::new(root), settings, &mut found);
    }
    if !makes_its_own_world(settings) {
        folders(settings, &mut found);
    }
    ports(settings, &mut found);
    for farm in &settings.background.farms {
        if let Err(wrong) = crate::mule::farm::parse(farm, settings.background.mules.len()) {
            found.push(format!("{wrong} ({})", place(settings, "farm")));
        }
    }
    found
}

/// What will not make it fail, but is hardly meant so.
pub fn hints(settings: &Settings) -> Vec<String> {
    if makes_its_own_world(settings) {
        return Vec::new();
    }
    let base = settings.paths.chdir.as_ref().map(PathBuf::from).unwrap_or_default();
    let maps = settings.statics.maps.iter().map(|map| ("static-map", &map.target));
    let checked = settings
        .statics
        .check_static
        .iter()
        .map(|folder| ("check-static", folder));
    let missing = maps.chain(checked).filter(|(_, target)| !base.join(target).exists());
    let mut found: Vec<String> = missing
        .map(|(option, target)| {
            let place = place(settings, option);
            format!("{target}: No such file or directory ({place}): its files are not served until it is there")
        })
        .collect();
    let fallback = settings.paths.fallback_config.as_ref();
    if let Some(config) = fallback.filter(|config| {
        let (file, _) = crate::config::split_section(config);
        !file.contains("://") && !Path::new(file).is_file()
    }) {
        let place = place(settings, "fallback-config");
        found.push(format!(
            "{config}: No such file ({place}): when it is needed it is too late to find out"
        ));
    }
    let sockets = settings.sockets.bind.len();
    for map in &settings.sockets.map_socket {
        let number = map
            .split(':')
            .next()
            .and_then(|number| number.trim().parse::<usize>().ok());
        // what systemd passes comes behind the configured ones
        if number.is_none_or(|number| number >= sockets) && std::env::var_os("LISTEN_FDS").is_none() {
            let place = place(settings, "map-socket");
            found.push(format!(
                "map-socket {map}: no such socket ({place}): {sockets} are configured, the first is 0"
            ));
        }
    }
    found
}

/// Where an option stands: `app.ini:3, option chdir`.
pub fn place(settings: &Settings, option: &str) -> String {
    let is_it = |key: &str| key == option || table::find(key).is_some_and(|row| row.name == option);
    let given = settings.exported.iter().zip(&settings.origins);
    match given.rev().find(|((key, _), _)| is_it(key)) {
        Some((_, origin)) if origin.is_command_line() => format!("option --{option}"),
        Some((_, origin)) => format!("{origin}, option {option}"),
        None => format!("option {option}"),
    }
}

/// Where a value stands, of whatever option: for addresses that plugins ask for.
pub fn place_of_value(settings: &Settings, value: &str) -> String {
    let mut given = settings.exported.iter().zip(&settings.origins);
    let is_it = |given: &str| given == value || given.split(',').next() == Some(value);
    match given.find(|((_, text), _)| text.as_deref().is_some_and(is_it)) {
        Some(((key, _), origin)) if origin.is_command_line() => format!("option --{key}"),
        Some(((key, _), origin)) => format!("{origin}, option {key}"),
        None => value.to_owned(),
    }
}

/// Commands before the sockets may make users' folders, and a jail has other ones.
fn makes_its_own_world(settings: &Settings) -> bool {
    let hooks = &settings.hooks;
    let early = [
        &hooks.asap,
        &hooks.pre_jail,
        &hooks.in_jail,
        &hooks.as_root,
        &hooks.as_user,
    ];
    settings.privileges.changes_root()
        || early.iter().any(|actions| !actions.is_empty())
        || !settings.paths.wait_for.is_empty()
}

fn users(settings: &Settings, found: &mut Vec<String>) {
    let p = &settings.privileges;
    let names = [("uid", &p.uid), ("immediate-uid", &p.immediate_uid)];
    for (option, name) in names.into_iter().filter_map(|(o, n)| Some((o, n.as_ref()?))) {
        if let Some(problem) = unknown_user(name) {
            found.push(user_line("user", name, &place(settings, option), &problem));
        }
    }
    let groups = [("gid", p.gid.as_ref()), ("immediate-gid", p.immediate_gid.as_ref())];
    let groups = groups.into_iter().filter_map(|(o, n)| Some((o, n?)));
    for (option, name) in groups.chain(p.add_gid.iter().map(|name| ("add-gid", name))) {
        if let Some(problem) = unknown_group(name) {
            found.push(user_line("group", name, &place(settings, option), &problem));
        }
    }
    if let Some(owner) = &settings.sockets.chown_socket {
        let (user, group) = owner.split_once([':', ' ']).unwrap_or((owner, ""));
        let place = place(settings, "chown-socket");
        if let Some(problem) = (!user.is_empty()).then(|| unknown_user(user)).flatten() {
            found.push(user_line("user", user, &place, &problem));
        }
        if let Some(problem) = (!group.is_empty()).then(|| unknown_group(group)).flatten() {
            found.push(user_line("group", group, &place, &problem));
        }
    }
}

fn user_line(kind: &str, name: &str, place: &str, fix: &str) -> String {
    format!("{kind} {name} not found. ({place}): {fix}")
}

/// What to do about a user that is not there.
fn unknown_user(name: &str) -> Option<String> {
    let known = name.parse::<u32>().is_ok() || matches!(User::from_name(name), Ok(Some(_)));
    (!known).then(|| nearest(name, "/etc/passwd", "user", "useradd --system"))
}

fn unknown_group(name: &str) -> Option<String> {
    let known = name.parse::<u32>().is_ok() || matches!(Group::from_name(name), Ok(Some(_)));
    (!known).then(|| nearest(name, "/etc/group", "group", "groupadd --system"))
}

fn nearest(name: &str, file: &str, kind: &str, command: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split(':').next());
    match suggestion(name, names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("name a {kind} of this machine, or make it: {command} {name}"),
    }
}

fn folders(settings: &Settings, found: &mut Vec<String>) {
    let p = &settings.paths;
    let base = p.chdir.as_ref().map(PathBuf::from);
    if let Some(folder) = &base {
        directory("chdir", "chdir", folder, settings, found);
    }
    if let Some(folder) = &p.chdir2 {
        let folder = base.as_ref().map_or_else(|| folder.into(), |base| base.join(folder));
        directory("chdir2", "chdir", &folder, settings, found);
    }
    for change in &p.environment {
        if let EnvironmentChange::Directory(folder) = change
            && !Path::new(folder).is_dir()
        {
            let place = place(settings, "envdir");
            found.push(format!(
                "{folder}: not a directory ({place}): name a folder with a file for each variable"
            ));
        }
    }
    // the log is opened before chdir
    let logging = &settings.logging;
    for (option, target) in [("logto", &logging.logto), ("daemonize", &logging.daemonize)] {
        let target = target.as_ref().filter(|target| !is_udp(target));
        file(option, target, None, settings, found);
    }
    let late = [("logto2", &logging.logto2), ("daemonize2", &logging.daemonize2)];
    for (option, target) in late {
        let target = target.as_ref().filter(|target| !is_udp(target));
        file(option, target, base.as_deref(), settings, found);
    }
    let files = [
        ("pidfile", &p.pidfile),
        ("pidfile2", &p.pidfile2),
        ("safe-pidfile", &p.safe_pidfile),
        ("safe-pidfile2", &p.safe_pidfile2),
    ];
    for (option, path) in files {
        file(option, path.as_ref(), base.as_deref(), settings, found);
    }
    for path in &p.master_fifo {
        file("master-fifo", Some(path), base.as_deref(), settings, found);
    }
    for spec in settings.sockets.bind.iter().chain(&settings.sockets.shared) {
        let address = Address::parse(&spec.address, settings.sockets.abstract_socket);
        if let Ok(Address::Unix(path)) = address {
            let path = base.as_ref().map_or_else(|| path.clone(), |base| base.join(&path));
            let place = format!("{}, socket", spec.origin);
            found.extend(folder_missing(&path, &place));
        }
    }
    for asked in &settings.stats.address {
        if let Ok(Address::Unix(path)) = Address::parse(asked, settings.sockets.abstract_socket) {
            let path = base.as_ref().map_or_else(|| path.clone(), |base| base.join(&path));
            found.extend(folder_missing(&path, &place(settings, "stats")));
        }
    }
}

/// As `logto` tells a UDP address from a file.
fn is_udp(target: &str) -> bool {
    target.contains(':') && !target.contains('/')
}

fn directory(option: &str, call: &str, folder: &Path, settings: &Settings, found: &mut Vec<String>) {
    let why = match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => return,
        Ok(_) => "Not a directory".to_owned(),
        Err(e) => super::os_text(&e),
    };
    let place = place(settings, option);
    found.push(format!(
        "{call}(): {why}: {} ({place}): create the directory or correct its name",
        folder.display()
    ));
}

fn file(option: &str, path: Option<&String>, base: Option<&Path>, settings: &Settings, found: &mut Vec<String>) {
    let Some(path) = path else { return };
    let path = base.map_or_else(|| PathBuf::from(path), |base| base.join(path));
    let place = place(settings, option);
    if let Some(problem) = folder_missing(&path, &place) {
        found.push(problem);
    } else if path.is_dir() {
        found.push(format!(
            "{}: Is a directory ({place}): name a file in it",
            path.display()
        ));
    } else if option_is_opened_as_we_are(option, settings)
        && let Err(e) = writable(&path)
    {
        found.push(format!(
            "{}: {} ({place}): user {} may not write it; change its owner or run as another user",
            path.display(),
            e.desc(),
            user_name()
        ));
    }
}

/// Whether the file is opened before a change of the user.
fn option_is_opened_as_we_are(option: &str, settings: &Settings) -> bool {
    settings.privileges.uid.is_none() || matches!(option, "logto" | "daemonize" | "pidfile" | "safe-pidfile")
}

fn writable(path: &Path) -> nix::Result<()> {
    match path.exists() {
        true => access(path, AccessFlags::W_OK),
        false => access(parent(path), AccessFlags::W_OK | AccessFlags::X_OK),
    }
}

/// Who we are, for messages.
pub fn user_name() -> String {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn folder_missing(path: &Path, place: &str) -> Option<String> {
    let folder = parent(path);
    let why = match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => return None,
        Ok(_) => "Not a directory".to_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return None,
        Err(e) => super::os_text(&e),
    };
    Some(format!(
        "{}: {why} ({place}): the folder {} is missing; create it",
        path.display(),
        folder.display()
    ))
}

fn ports(settings: &Settings, found: &mut Vec<String>) {
    if settings.sockets.reuse_port {
        return;
    }
    let sockets = settings.sockets.bind.iter().chain(&settings.sockets.shared);
    let sockets = sockets.map(|spec| (spec.address.as_str(), spec.origin.to_string()));
    let stats = settings
        .stats
        .address
        .iter()
        .map(|asked| (asked.as_str(), place(settings, "stats")));
    for (asked, place) in sockets.chain(stats) {
        let Ok(Address::Inet(address)) = Address::parse(asked, settings.sockets.abstract_socket) else {
            continue;
        };
        if is_taken(address) {
            let holder = holder::of(address).map_or_else(|| "somebody has it".to_owned(), |h| h.to_string());
            found.push(format!(
                "probably another instance of rsgi is running on the same address ({address}).\nbind(): Address already in use ({place}): {holder}; stop it or choose another port"
            ));
        }
    }
}

/// Whether the kernel would refuse the address. Nobody can connect meanwhile: the socket never listens.
fn is_taken(address: SocketAddr) -> bool {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, setsockopt, socket, sockopt,
    };
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let Ok(fd) = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None) else {
        return false;
    };
    if setsockopt(&fd, sockopt::ReuseAddr, &true).is_err() {
        return false;
    }
    let bound = match address {
        SocketAddr::V4(address) => bind(fd.as_raw_fd(), &SockaddrIn::from(address)),
        SocketAddr::V6(address) => bind(fd.as_raw_fd(), &SockaddrIn6::from(address)),
    };
    bound == Err(nix::Error::EADDRINUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;
    use std::sync::Arc;

    fn given(option: &str, value: &str) -> Settings {
        let mut settings = Settings::with_defaults(false);
        settings.exported.push((option.into(), Some(value.into())));
        let path = Arc::from("a.ini");
        settings.origins.push(Origin::File { path, line: 7 });
        settings
    }

    fn only(settings: &Settings) -> String {
        let found = problems(settings);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn users_are_looked_up_and_suggested() {
        let mut settings = given("uid", "rooot");
        settings.privileges.uid = Some("rooot".into());
        assert_eq!(
            only(&settings),
            "user rooot not found. (a.ini:7, option uid): did you mean \"root\"?"
        );
        settings.privileges.uid = Some("4711".into());
        assert!(problems(&settings).is_empty());
    }

    #[test]
    fn folders_must_exist_unless_a_command_may_make_them() {
        let mut settings = given("pidfile", "/no/such/x");
        settings.paths.pidfile = Some("/no/such/x".into());
        assert_eq!(
            only(&settings),
            "/no/such/x: No such file or directory (a.ini:7, option pidfile): the folder /no/such is missing; create it"
        );
        settings
            .hooks
            .asap
            .push(crate::settings::Action::Exec("mkdir -p /no/such".into()));
        assert!(problems(&settings).is_empty());
        let mut settings = given("chdir", "/etc/passwd");
        settings.paths.chdir = Some("/etc/passwd".into());
        assert!(only(&settings).starts_with("chdir(): Not a directory: /etc/passwd (a.ini:7, option chdir)"));
    }

    #[test]
    fn files_that_nobody_would_miss_at_once_are_missed() {
        let mut settings = given("envdir", "/no/such");
        settings
            .paths
            .environment
            .push(EnvironmentChange::Directory("/no/such".into()));
        assert!(only(&settings).starts_with("/no/such: not a directory (a.ini:7, option envdir)"));
        let mut settings = given("fallback-config", "/no/such.ini");
        settings.paths.fallback_config = Some("/no/such.ini".into());
        assert!(problems(&settings).is_empty());
        assert!(hints(&settings)[0].starts_with("/no/such.ini: No such file (a.ini:7, option fallback-config)"));
        let mut settings = given("check-static", "/no/such");
        settings.statics.check_static.push("/no/such".into());
        settings.sockets.map_socket.push("1:2".into());
        assert!(problems(&settings).is_empty());
        let hints = hints(&settings);
        assert!(hints[0].starts_with("/no/such: No such file or directory (a.ini:7, option check-static)"));
        assert!(hints[1].starts_with("map-socket 1:2: no such socket"));
    }

    #[test]
    fn a_port_in_use_names_its_holder() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = given("stats", "x");
        settings.stats.address.push(listener.local_addr().unwrap().to_string());
        let line = only(&settings);
        assert!(
            line.contains(&format!("a.ini:7, option stats): pid {} (", std::process::id())),
            "{line}"
        );
    }

    #[test]
    fn a_listener_of_the_other_family_alone_is_no_hindrance() {
        use nix::sys::socket::{setsockopt, sockopt};
        let six = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet6,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        setsockopt(&six, sockopt::Ipv6V6Only, &true).unwrap();
        let any = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, 0, 0, 0);
        if nix::sys::socket::bind(six.as_raw_fd(), &nix::sys::socket::SockaddrIn6::from(any)).is_err() {
            // a machine without IPv6
            return;
        }
        nix::sys::socket::listen(&six, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let bound: nix::sys::socket::SockaddrIn6 = nix::sys::socket::getsockname(six.as_raw_fd()).unwrap();
        assert!(!is_taken(SocketAddr::from(([127, 0, 0, 1], bound.port()))));
        assert!(is_taken(SocketAddr::from((
            std::net::Ipv6Addr::LOCALHOST,
            bound.port()
        ))));
    }
}
