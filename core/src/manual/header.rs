//! Reads `uwsgi.h` as its readers do: sections, declarations, and the comment that belongs to each.

/// A part of the header under one heading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What stands under it.
    pub text: String,
    /// Its declarations.
    pub items: Vec<Item>,
}

/// A declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The C text; comments inside of structs stay.
    pub code: String,
    /// What is said about it.
    pub text: String,
}

/// The sections in their order; what stands before the first one is no declaration.
pub fn sections(header: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment = String::new();
    let mut rest = header;
    while let Some(line) = rest.lines().next() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
            let text = words(&rest[..end]);
            rest = after_line(&rest[end..]);
            match text.strip_prefix("---") {
                Some(text) => sections.push(section(text)),
                None => comment = text,
            }
            continue;
        }
        let is_code = !trimmed.is_empty()
            && !["#if", "#e", "#include", "extern \"C\"", "}"]
                .iter()
                .any(|skip| trimmed.starts_with(skip));
        if !is_code {
            rest = after_line(rest);
            comment.clear();
            continue;
        }
        let length = declaration(rest);
        let item = item(&rest[..length], std::mem::take(&mut comment));
        rest = after_line(&rest[length..]);
        if let Some(section) = sections.last_mut() {
            section.items.push(item);
        }
    }
    sections
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// The length of the declaration at the beginning, with the comments behind it.
fn declaration(text: &str) -> usize {
    let is_macro = text.starts_with('#');
    let is_function = text.starts_with("static ");
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            continue;
        }
        let byte = rest.as_bytes()[0];
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'\\' if is_macro => at += 1,
            b'\n' => {
                let before = without_comments(&text[..at]);
                let end = before.trim_end();
                if is_macro || (depth == 0 && (end.ends_with(';') || (is_function && end.ends_with('}')))) {
                    return at;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// A declaration apart from what is said about it: a struct keeps its comments, a function has no body.
fn item(text: &str, mut comment: String) -> Item {
    if text.starts_with("static ")
        && let Some((head, _)) = text.split_once('{')
    {
        let code = format!("{};", head.trim_end());
        return Item { code, text: comment };
    }
    if text.contains('{') {
        let code = text.trim_end().to_owned();
        return Item { code, text: comment };
    }
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("/*") {
        let (inside, after) = behind.split_once("*/").unwrap_or((behind, ""));
        if !comment.is_empty() {
            comment.push(' ');
        }
        comment += &words(inside);
        rest = after;
    }
    let code = without_comments(text);
    let lines: Vec<&str> = code.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    Item {
        code: lines.join("\n"),
        text: comment,
    }
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("/*") {
        out += before;
        rest = behind.split_once("*/").map_or("", |(_, after)| after);
    }
    out + rest
}

/// A heading ends with the first full stop or line.
fn section(text: &str) -> Section {
    let text = text.trim_matches(['-', ' ']);
    let (title, text) = text.split_once(". ").unwrap_or((text.trim_end_matches('.'), ""));
    Section {
        title: title.to_owned(),
        text: text.to_owned(),
        items: Vec::new(),
    }
}

/// The text of a comment in one line.
fn words(comment: &str) -> String {
    let inside = comment.trim().trim_start_matches("/*").trim_end_matches("*/");
    let lines = inside.lines().map(|line| line.trim().trim_start_matches("* ").trim());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && *line != "*").collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "/* a file */\n#include <x.h>\n/* -----\n * Things: one. More\n * words.\n * ----- */\nint one(void); \
        /* does it,\n well */\n/* two is\n * second */\nchar *two(int,\n          int);\n\n#define A(x) \\\n  b(x)\n\
        /* a pair */\nstruct pair {\n    int a; /* first */\n    int b;\n};\n\
        static int f(void) { return 1; }\nextern char g[2]; /* an array */\n";

    #[test]
    fn declarations_get_their_comments() {
        let found = sections(TEXT);
        assert_eq!(found.len(), 1);
        let (title, text) = (&found[0].title, &found[0].text);
        assert_eq!(
            (title.as_str(), text.trim_end_matches(['-', ' '])),
            ("Things: one", "More words.")
        );
        let items: Vec<(&str, &str)> = found[0]
            .items
            .iter()
            .map(|i| (i.code.as_str(), i.text.as_str()))
            .collect();
        assert_eq!(items[0], ("int one(void);", "does it, well"));
        assert_eq!(items[1], ("char *two(int,\n          int);", "two is second"));
        assert_eq!(items[2], ("#define A(x) \\\n  b(x)", ""));
        assert!(items[3].0.contains("/* first */") && items[3].1 == "a pair");
        assert_eq!(items[4].0, "static int f(void);");
        assert_eq!(items[5], ("extern char g[2];", "an array"));
    }

    #[test]
    fn every_function_of_the_api_is_found() {
        let all = sections(rsgi_plugin_api::HEADER);
        let code: Vec<&str> = all.iter().flat_map(|s| &s.items).map(|i| i.code.as_str()).collect();
        let exports = include_str!("../../exports.txt");
        let names = exports
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        for name in names.filter(|name| *name != "uwsgi") {
            let [call, array] = ["(", "["].map(|sign| format!("{name}{sign}"));
            let is_array = |c: &str| c.starts_with("extern ") && c.contains(&array);
            let declares = |c: &&str| (c.contains(&call) && !c.starts_with('#')) || is_array(c);
            assert!(code.iter().any(declares), "{name} is not found in the header");
        }
    }
}
