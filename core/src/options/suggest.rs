//! The nearest known name of a misspelt one.

/// `vaccum` → `vacuum`; `None` when nothing is near enough to be meant.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    // one slip in short names, up to a third of longer ones
    let most = (plain.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::table;

    #[test]
    fn common_mistakes_find_their_option() {
        let names = || table::rows().flat_map(|row| row.names());
        for (wrong, right) in [
            ("vaccum", "vacuum"),
            ("harakari", "harakiri"),
            ("proesses", "processes"),
            ("process", "processes"),
            ("thread", "threads"),
            ("buffer_size", "buffer-size"),
            ("enable-thread", "enable-threads"),
            ("disable-write-exceptions", "disable-write-exception"),
            ("Master", "master"),
        ] {
            assert_eq!(suggestion(wrong, names()), Some(right), "{wrong}");
        }
        assert_eq!(suggestion("my-own-placeholder", names()), None);
        assert_eq!(suggestion("", names()), None);
    }
}
