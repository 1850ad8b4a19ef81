//! Which Python to embed, and where its library lies: the one of the virtualenv, else the first on PATH that can be
//! embedded, else /usr/bin/python3. The interpreter itself is asked, so that pyenv shims, links and distributions'
//! own layouts need no rules here; only one that lies as CPython installs itself is known at a glance. Runs in the
//! master, once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that can be embedded.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable that `sys.prefix` and `sys.executable` come from; inside the virtualenv when there is one.
    pub program: PathBuf,
    /// Its shared library.
    pub library: PathBuf,
    /// For messages, as in 3.11.7.
    pub version: String,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PythonError {
    #[error("!!! Python Home is not a directory: {0} !!! (--virtualenv names it; create it with: python3 -m venv {0})")]
    NoHome(String),
    #[error("{home} has no bin/python3: it is no virtualenv (create one with: python3 -m venv {home})")]
    NotAVenv { home: String },
    #[error("{program} does not start ({cause}): recreate the virtualenv with a Python that is installed")]
    Broken { program: String, cause: String },
    #[error(
        "no python3 was found on PATH and in /usr/bin: install one (apt install python3 libpython3-dev) or name one with --virtualenv"
    )]
    None,
    #[error("Python {version} ({program}) is too old: 3.9 or later is needed; name another one with --virtualenv")]
    TooOld { version: String, program: String },
    #[error(
        "Python {version} ({program}) is a free-threaded build, whose ABI this plugin does not speak: use a regular build of it"
    )]
    FreeThreaded { version: String, program: String },
    #[error("{program} is {name}, not CPython: only CPython can be embedded; name one with --virtualenv")]
    NotCPython { name: String, program: String },
    #[error(
        "user {user} (--uid) cannot read Python {version} in {place}: name a Python with --virtualenv that this user can read"
    )]
    Unreadable { version: String, place: String, user: u32 },
    #[error("Python {version} ({program}) has no shared library and cannot be embedded: {fix}")]
    NoLibrary {
        version: String,
        program: String,
        fix: String,
    },
}

/// What an interpreter says about itself.
#[derive(Debug)]
struct Answers {
    version: String,
    executable: PathBuf,
    libdir: PathBuf,
    soname: String,
    multiarch: String,
    base: PathBuf,
    implementation: String,
    free_threaded: bool,
    stdlib: PathBuf,
}

/// The user that will run the application, when it is not the one that starts the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// `--uid`
    pub uid: u32,
    /// `--gid`
    pub gid: u32,
}

impl User {
    /// Whether the permission bits let this user read a file: all folders above it and the file itself.
    fn can_read(self, file: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let allowed = |path: &Path, bit: u32| {
            path.metadata().is_ok_and(|m| {
                let shift = match m {
                    _ if self.uid == 0 => return true,
                    ref m if m.uid() == self.uid => 6,
                    ref m if m.gid() == self.gid => 3,
                    _ => 0,
                };
                m.mode() >> shift & bit != 0
            })
        };
        allowed(file, 4) && file.ancestors().skip(1).all(|folder| allowed(folder, 1))
    }
}

const QUESTIONS: &str = "import sys, sysconfig as s; g = s.get_config_var
for a in ('%d.%d.%d' % tuple(sys.version_info[:3]), sys.executable, g('LIBDIR'), g('INSTSONAME'), g('MULTIARCH'), \
          getattr(sys, 'base_prefix', sys.prefix), getattr(getattr(sys, 'implementation', None), 'name', 'cpython'), \
          g('Py_GIL_DISABLED'), s.get_path('stdlib')):
    sys.stdout.write('%s\\n' % (a,))
";

/// Asks an interpreter; `Err` is why it did not answer.
fn ask(program: &Path) -> Result<Answers, String> {
    let output = Command::new(program)
        .args(["-E", "-s", "-S", "-c", QUESTIONS])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().last().unwrap_or_default().trim();
        return Err(format!("{}: {line}", output.status));
    }
    let lines: Vec<&[u8]> = output.stdout.split(|b| *b == b'\n').collect();
    let text = |i: usize| {
        let bytes = lines.get(i).copied().unwrap_or_default();
        if bytes == b"None" { &[][..] } else { bytes }
    };
    let path = |i| PathBuf::from(OsStr::from_bytes(text(i)));
    let string = |i| String::from_utf8_lossy(text(i)).into_owned();
    if text(0).is_empty() {
        return Err("it is no Python".into());
    }
    Ok(Answers {
        version: string(0),
        executable: path(1),
        libdir: path(2),
        soname: string(3),
        multiarch: string(4),
        base: path(5),
        implementation: string(6),
        free_threaded: text(7) == b"1",
        stdlib: path(8),
    })
}

/// What an interpreter of the usual layout would answer, without the time that it takes to start: `python3.N` in a
/// folder `bin`, its standard library and its shared library where they belong. `None`: it must be asked.
fn recognise(program: &Path) -> Option<Answers> {
    let real = program.canonicalize().ok()?;
    let number = real.file_name()?.to_str()?.strip_prefix("python")?;
    // a letter behind the number is another build: free-threaded, debug
    let digits = number.strip_prefix("3.")?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let base = real
        .parent()
        .filter(|bin| bin.ends_with("bin"))?
        .parent()?
        .to_path_buf();
    let answers = Answers {
        version: number.to_owned(),
        executable: program.to_path_buf(),
        libdir: base.join("lib"),
        soname: String::new(),
        multiarch: format!("{}-linux-gnu", std::env::consts::ARCH),
        stdlib: base.join("lib").join(format!("python{number}")),
        implementation: "cpython".into(),
        free_threaded: false,
        base,
    };
    let is_usual = answers.stdlib.join("os.py").is_file() && library(&answers).is_ok() && minor(number) >= (3, 9);
    is_usual.then_some(answers)
}

/// What an interpreter is; `Err`: it does not say.
fn know(program: &Path) -> Result<Answers, String> {
    recognise(program).map_or_else(|| ask(program), Ok)
}

/// `(3, 11)` of `"3.11.7"`.
fn minor(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The library of an interpreter, or the sentence that says how to get one.
fn library(a: &Answers) -> Result<PathBuf, String> {
    let (major, minor) = minor(&a.version);
    let standard = format!("libpython{major}.{minor}.so.1.0");
    let mut names = vec![standard.as_str()];
    if a.soname.contains(".so") {
        names.insert(0, &a.soname);
    }
    let debian = Path::new("/usr/lib").join(&a.multiarch);
    let folders = [
        a.libdir.clone(),
        a.libdir.join(&a.multiarch),
        a.base.join("lib"),
        a.base.join("lib").join(&a.multiarch),
    ];
    // a build without a library must not be given the distribution's by chance: same minor, other build
    let of_debian = a.base == Path::new("/usr");
    let found = folders
        .iter()
        .chain(of_debian.then_some(&debian))
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
        .find(|file| file.is_absolute() && file.is_file());
    found.ok_or_else(|| {
        if of_debian {
            format!("install libpython{major}.{minor} (apt install libpython{major}.{minor})")
        } else if a.base.components().any(|c| c.as_os_str() == ".pyenv") {
            format!(
                "rebuild it with --enable-shared (PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {})",
                a.version
            )
        } else {
            "rebuild it with ./configure --enable-shared".to_owned()
        }
    })
}

/// Whether an interpreter that answered can be embedded.
fn judge(program: PathBuf, a: &Answers, user: Option<User>) -> Result<Interpreter, PythonError> {
    let (version, name) = (a.version.clone(), program.display().to_string());
    if a.implementation != "cpython" {
        return Err(PythonError::NotCPython {
            name: a.implementation.clone(),
            program: name,
        });
    }
    if minor(&a.version) < (3, 9) {
        return Err(PythonError::TooOld { version, program: name });
    }
    if a.free_threaded {
        return Err(PythonError::FreeThreaded { version, program: name });
    }
    // links on the way are followed: a virtualenv's files lie in it, its standard library elsewhere
    let files = [a.stdlib.join("os.py"), program.with_file_name("../pyvenv.cfg")];
    let unreadable = |user: &User| {
        let real = files.iter().filter_map(|f| f.canonicalize().ok());
        real.into_iter().find(|f| !user.can_read(f))
    };
    if let Some(user) = user
        && let Some(file) = unreadable(&user)
    {
        return Err(PythonError::Unreadable {
            version,
            place: file.parent().unwrap_or(&file).display().to_string(),
            user: user.uid,
        });
    }
    match library(a) {
        Ok(library) => Ok(Interpreter {
            program,
            library,
            version,
        }),
        Err(fix) => Err(PythonError::NoLibrary {
            version,
            program: name,
            fix,
        }),
    }
}

/// The Python of a virtualenv, or of an installation's prefix.
pub fn in_home(home: &Path, user: Option<User>) -> Result<Interpreter, PythonError> {
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_path_buf());
    let shown = home.display().to_string();
    if !home.is_dir() {
        return Err(PythonError::NoHome(shown));
    }
    let inside = ["bin/python3", "bin/python"].map(|p| home.join(p));
    let Some(program) = inside.into_iter().find(|p| p.symlink_metadata().is_ok()) else {
        return Err(PythonError::NotAVenv { home: shown });
    };
    match know(&program) {
        Ok(answers) => judge(program, &answers, user),
        Err(cause) => Err(PythonError::Broken {
            program: program.display().to_string(),
            cause,
        }),
    }
}

/// The Python of no virtualenv: the first that can be embedded, and why those before it cannot.
pub fn on_path(path: &OsStr, user: Option<User>) -> Result<(Interpreter, Vec<PythonError>), PythonError> {
    let mut refused = Vec::new();
    let folders = std::env::split_paths(path).chain([PathBuf::from("/usr/bin")]);
    for program in folders.map(|d| d.join("python3")).filter(|p| p.is_file()) {
        let Ok(answers) = know(&program) else { continue };
        let real = match answers.executable.is_absolute() {
            true => answers.executable.clone(),
            false => program,
        };
        match judge(real, &answers, user) {
            Ok(found) => return Ok((found, refused)),
            Err(error) => refused.push(error),
        }
    }
    Err(refused.into_iter().next().unwrap_or(PythonError::None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    fn answers(version: &str) -> Answers {
        Answers {
            version: version.into(),
            executable: "/opt/py/bin/python3".into(),
            libdir: "/opt/py/lib".into(),
            soname: "libpython3.11.a".into(),
            multiarch: String::new(),
            base: "/opt/py".into(),
            implementation: "cpython".into(),
            free_threaded: false,
            stdlib: "/opt/py/lib/python3.11".into(),
        }
    }

    #[test]
    fn what_cannot_be_embedded_is_named_with_its_fix() {
        let refusal = |a: Answers| judge("/opt/py/bin/python3".into(), &a, None).unwrap_err().to_string();
        assert!(refusal(answers("3.8.18")).contains("3.8.18 (/opt/py/bin/python3) is too old"));
        assert!(refusal(answers("2.7.18")).contains("too old"));
        assert!(refusal(answers("3.11.7")).contains("./configure --enable-shared"));
        let mut a = answers("3.11.7");
        a.base = "/root/.pyenv/versions/3.11.7".into();
        a.libdir = "/nowhere".into();
        a.version = "3.99.1".into();
        assert!(refusal(a).contains("pyenv install --force 3.99.1"));
        let mut a = answers("3.99.1");
        (a.base, a.libdir) = ("/usr".into(), "/usr/lib".into());
        assert!(refusal(a).contains("apt install libpython3.99"));
        let mut a = answers("3.13.0");
        a.free_threaded = true;
        assert!(refusal(a).contains("free-threaded"));
        let mut a = answers("3.10.1");
        a.implementation = "pypy".into();
        assert!(refusal(a).contains("is pypy, not CPython"));
    }

    #[test]
    fn homes_that_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = |p: &Path| in_home(p, None).unwrap_err().to_string();
        assert!(refusal(&dir.path().join("x")).contains("Python Home is not a directory"));
        assert!(refusal(dir.path()).contains("python3 -m venv"));
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        symlink("/no/such/python", dir.path().join("bin/python3")).unwrap();
        assert!(refusal(dir.path()).contains("does not start"));
    }

    #[test]
    fn a_folder_that_is_closed_to_the_user_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/os.py");
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(&file, "").unwrap();
        let other = User { uid: 54321, gid: 54321 };
        let open = |mode| {
            for folder in [dir.path().to_path_buf(), dir.path().join("a")] {
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        open(0o755);
        assert!(other.can_read(&file));
        open(0o700);
        assert!(!other.can_read(&file));
        assert!(User { uid: 0, gid: 0 }.can_read(&file));
        let mut a = answers("3.11.7");
        a.stdlib = dir.path().join("a");
        let refusal = judge("/opt/py/bin/python3".into(), &a, Some(other)).unwrap_err();
        assert!(
            refusal
                .to_string()
                .contains("user 54321 (--uid) cannot read Python 3.11.7"),
            "{refusal}"
        );
    }

    #[test]
    fn a_static_python_on_the_path_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("python3");
        // written by another process: a descriptor of ours could leak into a test's child and make it "busy"
        let text = r"#!/bin/sh\nprintf '3.8.1\\n/x/python3\\n/x\\nNone\\nNone\\n/x\\ncpython\\n0\\n'\n";
        let written = std::process::Command::new("sh")
            .args(["-c", "printf '%b' \"$1\" > \"$2\"; chmod 755 \"$2\"", "sh", text])
            .arg(&fake)
            .status()
            .unwrap();
        assert!(written.success());
        match on_path(dir.path().as_os_str(), None) {
            Ok((found, refused)) => {
                assert!(found.library.is_file());
                assert!(refused[0].to_string().contains("3.8.1"));
            }
            // a machine without a usable system Python
            Err(e) => assert!(e.to_string().contains("3.8.1"), "{e}"),
        }
    }

    #[test]
    fn every_python_of_this_machine_is_found_or_refused_with_a_reason() {
        let versions = std::env::home_dir().unwrap_or_default().join(".pyenv/versions");
        let mut seen = 0;
        for entry in std::fs::read_dir(versions).into_iter().flatten().flatten() {
            seen += 1;
            let name = entry.file_name().into_string().unwrap();
            let program = entry.path().join("bin/python3");
            if let Some(known) = recognise(&program) {
                let asked = ask(&program).unwrap();
                assert_eq!(library(&known), library(&asked));
                assert_eq!((&known.stdlib, &known.base), (&asked.stdlib, &asked.base));
                assert_eq!(minor(&known.version), minor(&asked.version));
            }
            match in_home(&entry.path(), None) {
                Ok(found) => {
                    assert!(found.library.starts_with(entry.path()), "{found:?}");
                    assert!(minor(&name) >= (3, 9), "{name}");
                }
                Err(e) => assert!(e.to_string().contains("Python"), "{e}"),
            }
        }
        if seen == 0 {
            eprintln!("no pyenv here: nothing to look at");
        }
    }
}
