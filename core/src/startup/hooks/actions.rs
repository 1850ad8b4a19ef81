//! The actions of hooks: a table of names, the form of their arguments, and what they do.

use super::{call, mount, on_signal, shell};
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::process;
use crate::say;
use crate::settings::WaitKind;
use crate::startup::conditions;
use std::ffi::{c_char, c_int};
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

/// What an argument must look like.
#[derive(Clone, Copy)]
enum Form {
    /// Anything, nothing too.
    Free,
    /// Something; the text says what.
    Needed(&'static str),
    /// So many words, the last one with all the rest; the text shows them.
    Words(usize, &'static str),
    /// A number, or nothing.
    Number,
    /// Known, but not here: why.
    Absent(&'static str),
}

struct Spec {
    name: &'static str,
    form: Form,
    run: fn(&str) -> Result<(), String>,
}

const fn action(name: &'static str, form: Form, run: fn(&str) -> Result<(), String>) -> Spec {
    Spec { name, form, run }
}

const fn absent(name: &'static str, why: &'static str) -> Spec {
    action(name, Form::Absent(why), |_| Ok(()))
}

const TWO: Form = Form::Words(2, "FILE TEXT");

static ACTIONS: &[Spec] = &[
    action("exec", Form::Needed("COMMAND"), shell),
    action("safeexec", Form::Needed("COMMAND"), |a| {
        if let Err(why) = shell(a) {
            say!("{why}");
        }
        Ok(())
    }),
    action("print", Form::Free, print),
    action("log", Form::Free, print),
    action("exit", Form::Number, |a| process::exit(a.trim().parse().unwrap_or(0))),
    action("cd", Form::Needed("FOLDER"), chdir),
    action("chdir", Form::Needed("FOLDER"), chdir),
    action("mkdir", Form::Needed("FOLDER"), |a| {
        std::fs::create_dir_all(a).map_err(system)
    }),
    action("create", Form::Needed("FILE"), create),
    action("creat", Form::Needed("FILE"), create),
    action("unlink", Form::Needed("FILE"), |a| {
        std::fs::remove_file(a).map_err(system)
    }),
    action("rename", Form::Words(2, "OLD NEW"), |a| {
        let (old, new) = two(a);
        std::fs::rename(old, new).map_err(system)
    }),
    action("write", TWO, |a| put(a, "", false)),
    action("writen", TWO, |a| put(a, "\n", false)),
    action("append", TWO, |a| put(a, "", true)),
    action("appendn", TWO, |a| put(a, "\n", true)),
    action("writefifo", TWO, |a| write_fifo(a, false)),
    action("spinningfifo", TWO, |a| write_fifo(a, true)),
    action("chmod", Form::Words(2, "FILE MODE"), |a| {
        let (file, mode) = two(a);
        let mode = u32::from_str_radix(mode.trim(), 8).map_err(|_| format!("bad mode {mode:?}: give it in octal"))?;
        std::fs::set_permissions(file, Permissions::from_mode(mode)).map_err(system)
    }),
    action("sticky", Form::Needed("FOLDER"), |a| {
        let mode = std::fs::metadata(a).map_err(system)?.permissions().mode();
        std::fs::set_permissions(a, Permissions::from_mode(mode | 0o1000)).map_err(system)
    }),
    action("chown", Form::Words(3, "FILE USER GROUP"), |a| chown(a, true)),
    action("chown2", Form::Words(3, "FILE USER GROUP"), |a| chown(a, false)),
    action("hostname", Form::Needed("NAME"), |a| {
        nix::unistd::sethostname(a).map_err(|e| e.desc().to_owned())
    }),
    action("putenv", Form::Needed("NAME=VALUE"), |a| {
        let (key, value) = a
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or("write NAME=VALUE")?;
        // SAFETY: hooks run in the start, or first thing in a worker: one thread.
        unsafe { std::env::set_var(key, value) };
        Ok(())
    }),
    action("mount", Form::Words(3, "TYPE WHAT WHERE [FLAGS]"), mount::mount),
    action("umount", Form::Needed("WHERE [FLAGS]"), mount::umount),
    action("call", Form::Needed("FUNCTION"), call::function),
    action("callret", Form::Needed("FUNCTION"), call::with_result),
    action("callint", Form::Words(2, "FUNCTION NUMBER"), call::number),
    action(
        "callintret",
        Form::Words(2, "FUNCTION NUMBER"),
        call::number_with_result,
    ),
    action("unix_signal", Form::Words(2, "SIGNAL FUNCTION"), on_signal::set),
    action("wait_for_fs", Form::Needed("PATH"), |a| wait(WaitKind::Path, a)),
    action("wait_for_file", Form::Needed("FILE"), |a| wait(WaitKind::File, a)),
    action("wait_for_dir", Form::Needed("FOLDER"), |a| wait(WaitKind::Directory, a)),
    action("wait_for_socket", Form::Needed("ADDRESS"), |a| {
        wait(WaitKind::Socket, a)
    }),
    action("alarm", Form::Words(2, "NAME MESSAGE"), |a| {
        let (name, message) = two(a);
        crate::alarm::trigger(name, message.as_bytes())
    }),
    absent("rpc", "there is no RPC in this version; use call or exec"),
    absent("retryrpc", "there is no RPC in this version; use call or exec"),
    absent(
        "setns",
        "namespaces are the container manager's; start the server in them",
    ),
];

/// The function of an action that a plugin brings; not 0 is a failure.
pub type PluginAction = unsafe extern "C" fn(*mut c_char) -> c_int;

/// Those that plugins bring.
pub static OF_PLUGINS: Offered<Brought<PluginAction>> = Offered::none();

fn parts(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, ""))
}

fn find(name: &str) -> Option<&'static Spec> {
    ACTIONS.iter().find(|spec| spec.name == name)
}

/// Whether an action can be run as it is written.
///
/// # Errors
/// It cannot; the text says why.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (name, argument) = parts(text);
    let Some(spec) = find(name) else {
        return match OF_PLUGINS.find(name) {
            Some(_) => Ok(()),
            None => Err(format!("hook action not found: {name}")),
        };
    };
    let wrong = |form: &str| Err(format!("invalid hook {name} syntax in \"{text}\": write {name}:{form}"));
    match spec.form {
        Form::Free => Ok(()),
        Form::Needed(form) if argument.trim().is_empty() => wrong(form),
        Form::Words(count, form) if argument.split_whitespace().count() < count => wrong(form),
        Form::Number if !argument.is_empty() && argument.trim().parse::<i32>().is_err() => wrong("NUMBER"),
        Form::Absent(why) => Err(format!("hook action {name}: {why}")),
        Form::Needed(_) | Form::Words(..) | Form::Number => Ok(()),
    }?;
    if name == "unix_signal" {
        on_signal::check(argument).map_err(|why| format!("hook {text}: {why}"))?;
    }
    Ok(())
}

/// Runs one.
///
/// # Errors
/// What went wrong, with the action.
pub(super) fn run(text: &str) -> Result<(), String> {
    check(text)?;
    let (name, argument) = parts(text);
    if let Some(spec) = find(name) {
        return (spec.run)(argument).map_err(|why| match name {
            "exec" | "call" => why,
            _ => format!("hook {text}: {why}"),
        });
    }
    let func = OF_PLUGINS
        .find(name)
        .ok_or_else(|| format!("hook action not found: {name}"))?;
    // SAFETY: a function of a loaded plugin, with a text that lives as long as the process; no lock of ours is held.
    match func.call(|func| unsafe { func(crate::server::keep(argument)) }) {
        0 => Ok(()),
        code => Err(format!("hook {text}: the plugin's action returned {code}")),
    }
}

fn system(e: io::Error) -> String {
    e.to_string()
}

/// The first word and the rest.
fn two(argument: &str) -> (&str, &str) {
    argument.split_once(' ').unwrap_or((argument, ""))
}

fn print(text: &str) -> Result<(), String> {
    say!("{text}");
    Ok(())
}

fn chdir(folder: &str) -> Result<(), String> {
    std::env::set_current_dir(folder).map_err(system)
}

fn create(file: &str) -> Result<(), String> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map(drop).map_err(system)
}

fn put(argument: &str, end: &str, append: bool) -> Result<(), String> {
    let (file, text) = two(argument);
    let mut file = OpenOptions::new()
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append)
        .open(file)
        .map_err(system)?;
    file.write_all(format!("{text}{end}").as_bytes()).map_err(system)
}

/// Into a named pipe that somebody reads; a patient one waits for the reader, up to a minute.
fn write_fifo(argument: &str, patient: bool) -> Result<(), String> {
    let (path, text) = two(argument);
    let open = || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut opened = open();
    for _ in 0..600 {
        if !patient || opened.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        opened = open();
    }
    let mut pipe = opened.map_err(|e| match e.raw_os_error() {
        Some(libc::ENXIO) => "nobody reads that pipe".to_owned(),
        _ => system(e),
    })?;
    pipe.write_all(text.as_bytes()).map_err(system)
}

fn chown(argument: &str, follow: bool) -> Result<(), String> {
    let mut words = argument.split_whitespace();
    let file = words.next().unwrap_or_default();
    let owner = format!(
        "{}:{}",
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default()
    );
    let (uid, gid) = crate::net::listener::owner(&owner)?;
    let change = if follow {
        std::os::unix::fs::chown(file, uid, gid)
    } else {
        std::os::unix::fs::lchown(file, uid, gid)
    };
    change.map_err(system)
}

fn wait(kind: WaitKind, name: &str) -> Result<(), String> {
    conditions::wait_here(kind, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wrong_actions_and_arguments_are_named() {
        let why = |text: &str| check(text).unwrap_err();
        assert_eq!(why("frobnicate:x"), "hook action not found: frobnicate");
        assert_eq!(
            why("write:/f"),
            "invalid hook write syntax in \"write:/f\": write write:FILE TEXT"
        );
        assert!(why("exit:soon").contains("exit:NUMBER"));
        assert!(why("unlink:").contains("unlink:FILE"));
        assert!(why("alarm:x").contains("NAME MESSAGE"));
        assert!(why("unix_signal:15 no_such_function").contains("no_such_function"));
        for fine in [
            "print",
            "exit:",
            "write:/f a b c",
            "mount:tmpfs none /x",
            "unix_signal:15 gracefully_kill_them_all",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
    }

    #[test]
    fn files_are_written_moved_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let name = |n: &str| format!("{}/{n}", dir.path().display());
        run(&format!("mkdir:{}", name("a/b"))).unwrap();
        run(&format!("writen:{} one two", name("a/f"))).unwrap();
        run(&format!("append:{} three", name("a/f"))).unwrap();
        run(&format!("rename:{} {}", name("a/f"), name("a/b/g"))).unwrap();
        run(&format!("sticky:{}", name("a"))).unwrap();
        assert_eq!(std::fs::read_to_string(name("a/b/g")).unwrap(), "one two\nthree");
        assert_eq!(
            std::fs::metadata(name("a")).unwrap().permissions().mode() & 0o7000,
            0o1000
        );
        run(&format!("unlink:{}", name("a/b/g"))).unwrap();
        assert!(
            run(&format!("unlink:{}", name("a/b/g")))
                .unwrap_err()
                .contains("unlink:")
        );
    }

    #[test]
    fn a_pipe_without_a_reader_is_said_and_one_with_a_reader_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = format!("writefifo:{} hello", path.display());
        assert!(run(&text).unwrap_err().contains("nobody reads"));
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        run(&text).unwrap();
        let mut bytes = [0u8; 5];
        io::Read::read_exact(&mut reader, &mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
    }

    proptest! {
        #[test]
        fn any_text_is_accepted_or_refused_with_its_name(text in ".{0,60}") {
            if let Err(why) = check(&text) {
                prop_assert!(why.contains(parts(&text).0));
            }
        }
    }
}
