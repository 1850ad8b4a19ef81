//! The tasks of a directory, in the order in which they are run.

use super::file::PREFIX;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// The files that may be tasks; `ordered`: by their names, those in numbered directories first, the least number first.
pub fn scan(folder: &Path, ordered: bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<(String, bool)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_urgency = ordered && !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            let is_folder = is_urgency && entry.file_type().is_ok_and(|t| t.is_dir());
            (is_folder || name.starts_with(PREFIX)).then_some((name, is_folder))
        })
        .collect();
    if ordered {
        names.sort_by(|(a, _), (b, _)| by_version(a.as_bytes(), b.as_bytes()));
    }
    let all = names
        .into_iter()
        .map(|(name, is_folder)| (folder.join(name), is_folder));
    all.flat_map(|(path, is_folder)| match is_folder {
        true => scan(&path, ordered),
        false => vec![path],
    })
    .collect()
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
