//! What all manual pages share: their head, and text that troff takes literally.

/// The first lines of a page: nothing is stretched to the margin or hyphenated, since options and
/// folders are long words that readers copy.
pub fn title(name: &str, section: u8, about: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} {section} \"\" \"rsgi {version}\" \"{about}\"\n.ad l\n.nh\n")
}

/// Text in which nothing means anything to troff, on one line. Very long words may be broken behind a comma.
pub fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    let words = text.split(' ').map(|word| match word.len() > LONG {
        true => word.replace(',', ",\\:"),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Longer words do not fit beside others.
const LONG: usize = 30;

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
                    ".TH", ".ad", ".nh", ".SH", ".SS", ".TP", ".B", ".I", ".BR", ".PP", ".nf", ".fi", ".RS", ".RE"
                ]
                .contains(&word),
                "{line}"
            );
        }
    }

    #[test]
    fn nothing_of_a_text_is_a_request() {
        let long = "server=SERVER,key=KEY[,addr=ADDRESS]";
        assert_eq!(super::escape(long), "server=SERVER,\\:key=KEY[,\\:addr=ADDRESS]");
        assert_eq!(super::line(".ini - a\\b"), "\\&.ini \\- a\\eb\n");
        check(&super::verbatim("'x\n.y\n"));
    }
}
