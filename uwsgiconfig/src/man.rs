//! uwsgiconfig(1), made of the help: what `--man` prints.

use crate::USAGE;

/// The page in roff.
pub fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let escape = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut out = format!(".TH UWSGICONFIG 1 \"\" \"rsgi {version}\" \"User Commands\"\n.ad l\n.nh\n");
    out += ".SH NAME\nuwsgiconfig \\- builds plugins for rsgi\n.SH SYNOPSIS\n";
    let (synopsis, rest) = USAGE.split_once("\n\n").unwrap_or((USAGE, ""));
    for line in synopsis.lines() {
        let words = line.trim().trim_start_matches("usage:").trim();
        out += &format!(".B {}\n.br\n", escape(words));
    }
    out += ".SH DESCRIPTION\n";
    for paragraph in rest.split("\n\n") {
        out += ".PP\n";
        for line in paragraph.lines() {
            // options stand in columns: the explanation behind two spaces
            match line.trim_start().split_once("  ") {
                Some((option, what)) if line.starts_with("  ") && !option.is_empty() => {
                    out += &format!(".TP\n.B {}\n{}\n", escape(option), escape(what.trim()));
                }
                _ => out += &format!("{}\n", escape(line.trim())),
            }
        }
    }
    out + ".SH SEE ALSO\n.BR rsgi\\-plugin (7),\n.BR rsgi (1)"
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_tells_the_help() {
        let page = super::page();
        for part in [
            ".B uwsgiconfig \\-\\-plugin",
            ".TP\n.B \\-\\-cflags\n",
            "Environment: CC",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
