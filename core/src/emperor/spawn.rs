//! Starting a vassal: its command line, its environment, and the fork and exec with the hooks around them.

use super::message::VARIABLE;
use super::scan::Found;
use crate::config::Dialect;
use crate::options::table;
use crate::plugin::hooks as plugin_hooks;
use crate::process::{self, Role, reload};
use crate::settings::{Emperor, Settings};
use crate::startup::hooks::{self, Subject};
use crate::{say, unix_signal};
use nix::unistd::{ForkResult, Pid, fork};
use std::ffi::{CString, OsString};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Exit code of a vassal that could not even be started.
const CANNOT_START: i32 = 1;

/// The descriptors that a vassal gets.
pub(super) struct Ends {
    /// Of the socket to the emperor.
    pub link: RawFd,
    /// Its standard output and error.
    pub output: RawFd,
    /// The socket that it serves on demand: its standard input.
    pub input: Option<RawFd>,
}

/// The arguments of a vassal, the program's name not among them.
fn arguments(settings: &Emperor, found: &Found) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |option: &str, values: &[String]| {
        for value in values {
            all.extend([option.into(), value.into()]);
        }
    };
    add("--inherit", &settings.inherit_before);
    add("--include", &settings.include_before);
    add("--set", &settings.set);
    let option = match Dialect::of_name(&found.id) {
        Some(dialect) => format!("--{}", dialect.name().to_ascii_lowercase()),
        // an ending of the operator's own tells no format
        None => "--ini".to_owned(),
    };
    let name = match settings.magic_exec && found.executable {
        _ if found.is_brought => std::path::absolute(&found.file)
            .unwrap_or_default()
            .display()
            .to_string(),
        true => format!(
            "exec://{}",
            std::path::absolute(&found.file).unwrap_or_default().display()
        ),
        false => found.id.clone(),
    };
    add(&option, &[name]);
    add("--inherit", &settings.inherit);
    add("--include", &settings.include);
    all
}

/// The environment of a vassal: that of the emperor without what means the emperor itself; `UWSGI_VASSAL_X` becomes
/// `UWSGI_X`.
fn environment(all: impl Iterator<Item = (OsString, OsString)>, link: RawFd) -> Vec<(OsString, OsString)> {
    const OURS: [&str; 8] = [
        VARIABLE,
        "UWSGI_RELOADS",
        "RSGI_HANDOVER",
        "RSGI_TRIAL",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "UWSGI_EMPEROR_PROXY",
    ];
    let is_ours = |name: &str| {
        let option = name.strip_prefix("UWSGI_").or_else(|| name.strip_prefix("RSGI_"));
        let of_emperor = |o: &str| ["EMPEROR", "VASSAL"].iter().any(|p| o.starts_with(p));
        OURS.contains(&name) || name.starts_with("LISTEN_") || option.is_some_and(of_emperor)
    };
    let (mut kept, mut given) = (Vec::new(), Vec::new());
    for (name, value) in all {
        let text = name.to_str().unwrap_or_default();
        if let Some(option) = for_vassals(text) {
            given.push((format!("UWSGI_{option}").into(), value));
        } else if !is_ours(text) {
            kept.push((name, value));
        }
    }
    kept.retain(|(name, _)| !given.iter().any(|(g, _): &(OsString, _)| g == name));
    kept.extend(given);
    kept.push((VARIABLE.into(), link.to_string().into()));
    kept
}

/// `X` of `UWSGI_VASSAL_X`, unless that is an option of the emperor.
pub fn for_vassals(variable: &str) -> Option<&str> {
    let option = variable
        .strip_prefix("UWSGI_VASSAL_")
        .or_else(|| variable.strip_prefix("RSGI_VASSAL_"))?;
    let own = format!("vassal-{}", option.to_ascii_lowercase().replace('_', "-"));
    (!option.is_empty() && table::find(&own).is_none()).then_some(option)
}

/// Everything that the child needs, made before the fork.
struct Image {
    programs: Vec<PathBuf>,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    fn of(settings: &Emperor, found: &Found, link: RawFd) -> Result<Self, String> {
        let own = reload::origin().map(|o| o.binary.clone()).unwrap_or_default();
        let mut programs: Vec<PathBuf> = settings.wrappers.iter().map(PathBuf::from).collect();
        programs.push(own.clone());
        programs.extend(settings.wrapper_fallbacks.iter().map(PathBuf::from));
        let text = |t: OsString| CString::new(t.into_vec()).map_err(|_| "a NUL byte in its name".to_owned());
        let args = std::iter::once(own.into_os_string()).chain(arguments(settings, found));
        let pairs = environment(std::env::vars_os(), link)
            .into_iter()
            .map(|(mut name, value)| {
                name.push("=");
                name.push(value);
                name
            });
        Ok(Self {
            programs,
            args: args.map(text).collect::<Result<_, _>>()?,
            env: pairs.map(text).collect::<Result<_, _>>()?,
        })
    }
}

/// Forks a vassal.
///
/// # Errors
/// The system refuses another process, or the name cannot be an argument.
pub(super) fn vassal(settings: &Settings, found: &Found, ends: &Ends) -> Result<i32, String> {
    let image = Image::of(&settings.emperor, found, ends.link)?;
    let emperor = nix::unistd::getpid();
    // SAFETY: the emperor is single-threaded; the child execs or ends.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child.as_raw()),
        Ok(ForkResult::Child) => {
            process::set_role(Role::Emperor);
            if let Err(why) = become_vassal(settings, found, ends, &image, emperor) {
                say!("[emperor] cannot start vassal {}: {why}", found.id);
            }
            // SAFETY: ends the child; nothing of the emperor's is to be cleaned up by it.
            unsafe { libc::_exit(CANNOT_START) }
        }
        Err(e) => Err(format!("fork(): {}", e.desc())),
    }
}

fn become_vassal(settings: &Settings, found: &Found, ends: &Ends, image: &Image, emperor: Pid) -> Result<(), String> {
    let subject = Subject {
        name: &found.id,
        pid: std::process::id() as i32,
        uid: found.uid,
        gid: found.gid,
    };
    standard_streams(ends)?;
    hooks::run_for_vassal(&settings.hooks.as_vassal_before_drop, &subject);
    if settings.emperor.tyrant {
        drop_privileges(&settings.emperor, found)?;
    }
    // after the change of user, which clears it
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(|e| format!("prctl(): {}", e.desc()))?;
    if nix::unistd::getppid() != emperor {
        return Err("the emperor has died".into());
    }
    unix_signal::reset();
    unix_signal::unblock();
    let record = plugin_hooks::vassal_record(&found.id, (found.uid, found.gid), ends.link);
    plugin_hooks::vassal(record);
    if let Some(folder) = &found.folder {
        std::env::set_current_dir(folder).map_err(|e| format!("chdir({}): {e}", folder.display()))?;
    }
    if let Some(program) = &settings.emperor.start_hook {
        say!("[emperor] running vassal start-hook: {program} {}", found.id);
        let status = std::process::Command::new(program).arg(&found.id).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => say!(
                "[emperor] vassal {}: the start-hook {program} ended with {status}",
                found.id
            ),
            Err(e) => say!(
                "[emperor] vassal {}: cannot run the start-hook {program}: {e}",
                found.id
            ),
        }
    }
    hooks::run_for_vassal(&settings.hooks.as_vassal, &subject);
    plugin_hooks::vassal_before_exec(record);
    // whatever a plugin or a library left open is not the vassal's; the link is
    // SAFETY: plain numbers; an old kernel answers with an error, and then the flags of each descriptor count.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 4u32);
        libc::fcntl(ends.link, libc::F_SETFD, 0);
    }
    let mut why = String::new();
    for program in &image.programs {
        let path = CString::new(program.as_os_str().as_bytes()).unwrap_or_default();
        let Err(e) = nix::unistd::execve(&path, &image.args, &image.env);
        why = format!("{}: {}", program.display(), e.desc());
        say!("[emperor] {why}");
    }
    Err(why)
}

fn standard_streams(ends: &Ends) -> Result<(), String> {
    let null = std::fs::File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
    use std::os::fd::AsRawFd;
    let input = ends.input.unwrap_or(null.as_raw_fd());
    for (from, to) in [(input, 0), (ends.output, 1), (ends.output, 2)] {
        // SAFETY: both are open; the child's own streams are replaced.
        if unsafe { libc::dup2(from, to) } < 0 {
            return Err(format!("dup2(): {}", nix::Error::last().desc()));
        }
    }
    // the vassal's own master looks at its standard input with blocking calls when it is no socket
    // SAFETY: 0 was just opened.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let _ = nix::fcntl::fcntl(stdin, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()));
    Ok(())
}

fn drop_privileges(settings: &Emperor, found: &Found) -> Result<(), String> {
    use nix::unistd::{Gid, Uid, User, initgroups, setgid, setgroups, setuid};
    let (uid, gid) = (Uid::from_raw(found.uid), Gid::from_raw(found.gid));
    let fail = |call: &str, e: nix::Error| format!("{call}(): {}", e.desc());
    let user = User::from_uid(uid)
        .ok()
        .flatten()
        .filter(|_| settings.tyrant_initgroups);
    match user.and_then(|u| CString::new(u.name).ok()) {
        Some(name) => initgroups(&name, gid).map_err(|e| fail("initgroups", e))?,
        None => setgroups(&[]).map_err(|e| fail("setgroups", e))?,
    }
    setgid(gid).map_err(|e| fail("setgid", e))?;
    setuid(uid).map_err(|e| fail("setuid", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str) -> Found {
        Found {
            id: id.into(),
            source: 0,
            folder: None,
            file: format!("/v/{id}").into(),
            stamp: (0, 0, 0),
            modified: 0,
            uid: 1000,
            gid: 1000,
            executable: true,
            is_brought: false,
        }
    }

    #[test]
    fn what_is_common_stands_before_and_after_the_file() {
        let mut settings = Emperor::default();
        settings.inherit_before.push("ib".into());
        settings.include_before.push("cb".into());
        settings.set.push("a=b".into());
        settings.inherit.push("i".into());
        settings.include.push("c".into());
        let words = arguments(&settings, &found("x.yml"));
        assert_eq!(
            words,
            [
                "--inherit",
                "ib",
                "--include",
                "cb",
                "--set",
                "a=b",
                "--yaml",
                "x.yml",
                "--inherit",
                "i",
                "--include",
                "c"
            ]
        );
        assert_eq!(arguments(&Emperor::default(), &found("x.conf")), ["--ini", "x.conf"]);
        settings = Emperor::default();
        settings.magic_exec = true;
        assert_eq!(arguments(&settings, &found("x.ini")), ["--ini", "exec:///v/x.ini"]);
    }

    #[test]
    fn a_vassal_gets_its_own_options_and_none_of_the_emperors() {
        let pairs = [
            ("UWSGI_VASSAL_PROCESSES", "3"),
            ("UWSGI_PROCESSES", "9"),
            ("UWSGI_VASSAL_SET", "a=b"),
            ("UWSGI_EMPEROR", "/v"),
            ("UWSGI_VASSALS_INCLUDE", "x"),
            ("RSGI_EMPEROR_FREQ", "1"),
            ("UWSGI_RELOADS", "2"),
            ("LISTEN_FDS", "1"),
            ("NOTIFY_SOCKET", "/run/x"),
            ("HOME", "/root"),
        ];
        let all = pairs.iter().map(|(k, v)| (OsString::from(k), OsString::from(v)));
        let got: Vec<String> = environment(all, 7)
            .into_iter()
            .map(|(k, v)| format!("{}={}", k.display(), v.display()))
            .collect();
        assert_eq!(got, ["HOME=/root", "UWSGI_PROCESSES=3", "UWSGI_EMPEROR_FD=7"]);
    }
}
