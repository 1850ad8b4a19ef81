//! The tasks of a directory, in the order in which they are run.

use super::file::{PREFIX, sweep};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::cmp::Ordering;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The files that may be tasks, by their names in the directory; `ordered`: by their names, those in numbered
/// directories first, the least number first.
pub fn scan(folder: BorrowedFd, ordered: bool) -> Vec<String> {
    let mut found = Vec::new();
    list(folder, ".", ordered, &mut found);
    found
}

/// Every task that waits, by its path.
pub fn paths(folder: &Path, ordered: bool) -> Vec<PathBuf> {
    use std::os::fd::AsFd;
    let Ok(handle) = std::fs::File::open(folder) else {
        return Vec::new();
    };
    let names = scan(handle.as_fd(), ordered);
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether a directory's name says how urgent its tasks are.
pub fn is_urgency(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// The directories whose names say how urgent their tasks are.
pub fn urgencies(folder: BorrowedFd) -> Vec<String> {
    let mut names = entries(folder, ".");
    names.retain(|(name, is_folder)| is_urgency(name) && *is_folder);
    names.into_iter().map(|(name, _)| name).collect()
}

/// Removes what killed producers have left in a directory.
pub fn tidy(folder: BorrowedFd, now: u64) {
    for (name, _) in entries(folder, ".") {
        if name.strip_prefix('.').is_some_and(|name| name.starts_with(PREFIX)) {
            sweep(folder, &name, now);
        }
    }
}

/// Names, and whether each is a directory.
fn entries(folder: BorrowedFd, below: &str) -> Vec<(String, bool)> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut dir) = Dir::openat(folder, below, flags, Mode::empty()) else {
        return Vec::new();
    };
    let all = dir.iter().flatten().filter_map(|entry| {
        let name = entry.file_name().to_str().ok()?.to_owned();
        // a file system that does not say the type: only of names that may be directories it matters
        let is_folder = match entry.file_type() {
            Some(kind) => kind == nix::dir::Type::Directory,
            None => is_urgency(&name),
        };
        Some((name, is_folder))
    });
    all.collect()
}

fn list(folder: BorrowedFd, below: &str, ordered: bool, found: &mut Vec<String>) {
    let mut names = entries(folder, below);
    names.retain(|(name, is_folder)| match is_folder {
        true => ordered && below == "." && is_urgency(name),
        false => name.starts_with(PREFIX),
    });
    if ordered {
        names.sort_by(|(a, _), (b, _)| by_version(a.as_bytes(), b.as_bytes()));
    }
    for (name, is_folder) in names {
        match (is_folder, below) {
            (true, _) => list(folder, &name, ordered, found),
            (false, ".") => found.push(name),
            (false, _) => found.push(format!("{below}/{name}")),
        }
    }
}

/// Names with numbers in them, as a reader would order them: `a2` before `a10`.
fn by_version(mut a: &[u8], mut b: &[u8]) -> Ordering {
    fn number(text: &[u8]) -> (&[u8], &[u8]) {
        text.split_at(text.iter().take_while(|c| c.is_ascii_digit()).count())
    }
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let ((n, a_rest), (m, b_rest)) = (number(a), number(b));
            let plain = |n: &[u8]| n.iter().skip_while(|c| **c == b'0').copied().collect::<Vec<_>>();
            let (n, m) = (plain(n), plain(m));
            match n.len().cmp(&m.len()).then(n.cmp(&m)) {
                Ordering::Equal => (a, b) = (a_rest, b_rest),
                different => return different,
            }
        } else if first == second {
            (a, b) = (&a[1..], &b[1..]);
        } else {
            return first.cmp(second);
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["u_10_1", "u_9_12", "12", "u_9_2", "3", "u_09_3"];
        names.sort_by(|a, b| by_version(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["3", "12", "u_9_2", "u_09_3", "u_9_12", "u_10_1"]);
    }
}
