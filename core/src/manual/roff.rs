//! What all manual pages share: their head, and text that troff takes literally.

/// The first line of a page.
pub fn title(name: &str, section: u8, about: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} {section} \"\" \"rsgi {version}\" \"{about}\"\n")
}

/// Text in which nothing means anything to troff, on one line.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ")
}

/// A paragraph's line: escaped, and no control line whatever it begins with.
pub fn line(text: &str) -> String {
    let text = escape(text);
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}\n"),
        false => text + "\n",
    }
}

/// A text that stays in its lines.
pub fn verbatim(text: &str) -> String {
    let lines: String = text.lines().map(line).collect();
    format!(".PP\n.nf\n.RS 4\n{lines}.RE\n.fi\n")
}

#[cfg(test)]
pub mod tests {
    /// That only requests which we mean stand at the beginnings of lines.
    pub fn check(page: &str) {
        for line in page.lines().filter(|l| l.starts_with(['.', '\''])) {
            let word = line.split(' ').next().unwrap();
            assert!(
                [
                    ".TH", ".SH", ".SS", ".TP", ".B", ".I", ".BR", ".PP", ".nf", ".fi", ".RS", ".RE"
                ]
                .contains(&word),
                "{line}"
            );
        }
    }

    #[test]
    fn nothing_of_a_text_is_a_request() {
        assert_eq!(super::line(".ini - a\\b"), "\\&.ini \\- a\\eb\n");
        check(&super::verbatim("'x\n.y\n"));
    }
}
