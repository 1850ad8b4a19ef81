//! What the documentation shows is run: the blocks ```sh of each page in their order, in one folder, with the files that
//! the page shows (a block whose first line is a comment with the name of a file). What follows as ```text must be
//! among the output. A block behind `<!-- not run: REASON -->` is left out.

use rsgi_tests::{build_dir, skipped};
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Ports that pages use: others are taken for each run.
const PORTS: [&str; 5] = ["9090", "9091", "9191", "8080", "3031"];

/// `curl` waits until somebody listens, as a reader does.
const PRELUDE: &str = "set -eu\n\
    curl() {\n\
        n=0\n\
        while :; do\n\
            status=0; command curl --silent --show-error --max-time 20 \"$@\" || status=$?\n\
            [ $status = 7 ] && [ $n -lt 200 ] || return $status\n\
            n=$((n + 1)); sleep 0.1\n\
        done\n\
    }\n";

/// A block of a page.
#[derive(Debug, Default)]
struct Block {
    language: String,
    text: String,
    line: usize,
    /// Why it is not run.
    left_out: Option<String>,
}

fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(TOP).join("docs"))
        .expect("it is there")
        .flatten();
    let mut pages: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.push(Path::new(TOP).join("README.md"));
    pages.sort();
    pages
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut left_out = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                open = Some(Block {
                    language: language.trim().to_owned(),
                    line: number + 1,
                    left_out: left_out.take(),
                    ..Block::default()
                });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                let _ = writeln!(block.text, "{line}");
                open = Some(block);
            }
            (None, None) => match line.strip_prefix("<!-- not run:") {
                Some(reason) => left_out = Some(reason.trim_end_matches("-->").trim().to_owned()),
                None if line.trim().is_empty() => {}
                None => left_out = None,
            },
        }
    }
    blocks
}

/// The file that a block is, by its first line: `# app.py`, `; site.ini`, `// src/lib.rs`, `/* x.c */`, `-- app.lua`.
fn file_name(block: &Block) -> Option<&str> {
    let first = block.text.lines().next()?;
    let inside = first
        .trim_start_matches(
            ["#", ";", "//", "/*", "--"]
                .iter()
                .find(|sign| first.starts_with(**sign))?,
        )
        .trim_end_matches("*/")
        .trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    (inside.contains('.') && inside.chars().all(is_name)).then_some(inside)
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is left");
    listener.local_addr().expect("it is bound").port().to_string()
}

/// The page with other ports, and with this tree in place of the one that readers have somewhere.
fn for_this_run(text: &str) -> String {
    let mut text = text.replace("/usr/share/rsgi/plugin-api", &format!("{TOP}/plugin-api"));
    for port in PORTS {
        let other = free_port();
        text = text.replace(&format!(":{port}"), &format!(":{other}"));
    }
    text
}

/// Text with one space where there are several.
fn without_columns(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a line of a screen is like one that was shown: figures and folders are another time others.
fn is_like(shown: &str, heard: &str) -> bool {
    let (shown, heard): (Vec<&str>, Vec<&str>) =
        (shown.split_whitespace().collect(), heard.split_whitespace().collect());
    let file = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let same = |(shown, heard): (&&str, &&str)| {
        let is_figure = shown.contains(|c: char| c.is_ascii_digit()) && heard.contains(|c: char| c.is_ascii_digit());
        let is_folder = shown.starts_with('/') && heard.starts_with('/');
        is_figure || shown == heard || (shown.contains('/') && file(shown) == file(heard)) || is_folder
    };
    shown.len() == heard.len() && shown.iter().zip(&heard).all(same)
}

/// Runs a page; what is wrong with it.
fn run(page: &Path) -> Result<(), String> {
    let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(page).map_err(|e| format!("{name}: {e}"))?;
    let all = blocks(&for_this_run(&text));
    if !all
        .iter()
        .any(|block| block.language == "sh" && block.left_out.is_none())
    {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut script = PRELUDE.to_owned();
    for (number, block) in all.iter().enumerate() {
        if block.left_out.is_some() {
            continue;
        }
        if block.language == "sh" {
            let _ = writeln!(script, "echo '@@ {} @@'\n{}", block.line, block.text);
        } else if let Some(file) = file_name(block) {
            let staged = folder.path().join(format!(".block{number}"));
            fs::write(&staged, &block.text).map_err(|e| e.to_string())?;
            if file.ends_with("Cargo.toml") {
                // versions that are here already: nothing is downloaded
                let _ = writeln!(
                    script,
                    "mkdir -p '{0}' && cp '{TOP}/Cargo.lock' '{0}/'",
                    file.trim_end_matches("Cargo.toml")
                );
            }
            let parent = Path::new(file).parent().unwrap_or(Path::new("."));
            let _ = writeln!(
                script,
                "mkdir -p './{}' && cp '{}' '{file}'",
                parent.display(),
                staged.display()
            );
        }
    }
    let output_path = folder.path().join(".output");
    let output = File::create(&output_path).map_err(|e| e.to_string())?;
    let path = format!(
        "{}:{}",
        build_dir().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("CARGO_TARGET_DIR", build_dir().join("../documentation"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("PKG_CONFIG_PATH", folder.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(|e| e.to_string())?)
        .stderr(output)
        .process_group(0);
    for (key, _) in std::env::vars().filter(|(k, _)| k.starts_with("UWSGI_") || k.starts_with("RSGI_")) {
        command.env_remove(key);
    }
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let group = -i32::try_from(child.id()).map_err(|e| e.to_string())?;
    let status = child.wait().map_err(|e| e.to_string())?;
    // servers that the page has left running
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        // SAFETY: the group is that of the script, which this test has made.
        unsafe { libc::kill(group, signal) };
        if signal == libc::SIGTERM {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
            // SAFETY: as above; signal 0 asks whether somebody is left.
            while unsafe { libc::kill(group, 0) } == 0 && std::time::Instant::now() < end {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
    let mut said = String::new();
    File::open(&output_path)
        .and_then(|mut file| file.read_to_string(&mut said))
        .map_err(|e| e.to_string())?;
    if !status.success() {
        let at = said
            .rsplit("@@ ")
            .find_map(|part| part.split_once(" @@"))
            .map_or("?", |(line, _)| line);
        return Err(format!("{name}: the block in line {at} ended with {status}:\n{said}"));
    }
    for pair in all.windows(2) {
        if pair[0].language != "sh" || pair[0].left_out.is_some() || pair[1].language != "text" {
            continue;
        }
        let from = said.find(&format!("@@ {} @@", pair[0].line)).unwrap_or(0);
        let heard = without_columns(&said[from..]);
        for line in pair[1].text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            if heard.lines().any(|heard| is_like(line, heard)) {
                continue;
            }
            let mut rest = heard.as_str();
            for part in line.split('…').map(str::trim).filter(|p| !p.is_empty()) {
                let Some(at) = rest.find(part) else {
                    return Err(format!("{name}:{}: not said: {part:?} in:\n{said}", pair[1].line));
                };
                rest = &rest[at..];
            }
        }
    }
    Ok(())
}

#[test]
fn what_pages_show_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("no curl");
    }
    let only = std::env::var("RSGI_PAGE").unwrap_or_default();
    let left = Mutex::new(pages());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(page) = left.lock().expect("no thread fails").pop() else {
                        return;
                    };
                    if !page.display().to_string().contains(&only) {
                        continue;
                    }
                    if let Err(why) = run(&page) {
                        failures.lock().expect("no thread fails").push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread fails");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Commands stand in blocks that are run, or say why not.
#[test]
fn every_command_is_in_a_block_that_is_run() {
    let commands = [
        "rsgi ",
        "uwsgiconfig ",
        "make ",
        "curl ",
        "kill ",
        "gcc ",
        "cargo ",
        "pip ",
        "python",
        "systemctl ",
        "apt",
        "./",
        "nginx ",
        "openssl ",
        "packaging/",
        "journalctl ",
    ];
    for page in pages() {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&page).expect("it can be read");
        for (number, line) in text.lines().enumerate() {
            let is_one = |line: &str| {
                commands
                    .iter()
                    .any(|c| line.starts_with(c) && !line.starts_with("make their"))
            };
            if let Some(code) = line.strip_prefix("    ") {
                assert!(!is_one(code), "{name}:{}: write commands in a block ```sh", number + 1);
            }
        }
        for block in blocks(&text) {
            if block.left_out.as_deref() == Some("") {
                panic!("{name}:{}: say why it is not run", block.line);
            }
            let is_one = |line: &str| commands.iter().any(|c| line.trim_start().starts_with(c));
            if block.language.is_empty() && file_name(&block).is_none() {
                assert!(
                    !block.text.lines().any(is_one),
                    "{name}:{}: write commands in a block ```sh",
                    block.line
                );
            }
        }
    }
}

/// The list of the book names each page, and no other.
#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(Path::new(TOP).join("docs/SUMMARY.md")).expect("it is there");
    for page in pages() {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "SUMMARY.md" && name != "README.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "{name} is not in docs/SUMMARY.md"
            );
        }
    }
    let generated = [
        "options.md",
        "api.md",
        "refused.md",
        "changelog.md",
        "uwsgi.md",
        "uwsgidecorators.md",
    ];
    for link in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let exists = Path::new(TOP).join("docs").join(link).is_file();
        assert!(
            exists || generated.contains(&link),
            "docs/SUMMARY.md: {link} is not there"
        );
    }
}

/// The table of hooks has each field of the struct that is one.
#[test]
fn the_table_of_hooks_is_whole() {
    let page = fs::read_to_string(Path::new(TOP).join("docs/hooks.md")).expect("it is there");
    let header = fs::read_to_string(Path::new(TOP).join("plugin-api/include/uwsgi.h")).expect("it is there");
    let inside = header
        .split_once("\nstruct uwsgi_plugin {")
        .expect("the header has it")
        .1;
    let inside = inside.split_once("\n};").expect("it ends").0;
    let hooks: Vec<&str> = inside
        .split("(*")
        .skip(1)
        .filter_map(|rest| rest.split_once(")("))
        .map(|(name, _)| name)
        .filter(|name| *name != "start")
        .collect();
    assert!(hooks.len() > 50, "{hooks:?}");
    for hook in hooks {
        assert!(page.contains(&format!("`{hook}`")), "{hook} is not in docs/hooks.md");
    }
}

#[test]
fn screens_are_compared_but_for_figures_and_folders() {
    assert!(is_like("1 2568 0 idle 0.3ms", "2  99 17 idle 1.0ms"));
    assert!(is_like(
        "File \"/srv/app.py\", line 9",
        "File \"/tmp/x/app.py\", line 11"
    ));
    assert!(!is_like("1 2568 0 idle", "1 2568 0 busy"));
    assert!(!is_like("1 idle", "1 idle GET"));
}
