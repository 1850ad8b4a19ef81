//! Completions of shells: every option with its explanation, files where a file may stand.

use crate::options::{Apply, ArgKind, PluginOption, table};
use std::fmt::Write;

/// What may follow a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    /// Behind `=` only.
    Optional,
    Number,
    /// The name of an option.
    Option,
    /// Anything else: files are offered.
    Text,
}

/// An option as a shell sees it.
pub struct Word {
    name: String,
    short: Option<char>,
    help: String,
    value: Value,
}

/// Every name: the core's with aliases, those of plugins.
pub fn words(plugins: &[PluginOption]) -> Vec<Word> {
    let kind = |arg: ArgKind, apply: Option<Apply>| match (arg, apply) {
        (ArgKind::No, _) => Value::None,
        (ArgKind::Optional, _) => Value::Optional,
        (_, Some(Apply::Number { .. })) => Value::Number,
        _ => Value::Text,
    };
    let core = table::rows().flat_map(|row| {
        row.names().map(move |name| Word {
            name: name.to_owned(),
            short: row.short.filter(|_| name == row.name),
            help: row.help.to_owned(),
            value: match name {
                "explain" | "get" => Value::Option,
                _ => kind(row.arg, Some(row.apply)),
            },
        })
    });
    let others = plugins.iter().map(|option| Word {
        name: option.name.clone(),
        short: option.short,
        help: option.help.clone(),
        value: kind(option.arg, None),
    });
    let mut words: Vec<Word> = core.chain(others).collect();
    words.sort_by(|a, b| a.name.cmp(&b.name));
    words.dedup_by(|a, b| a.name == b.name);
    words
}

/// A function of bash, and its use.
pub fn bash(words: &[Word]) -> String {
    let names = |wanted: &dyn Fn(&Word) -> bool| {
        let names: Vec<String> = words
            .iter()
            .filter(|w| wanted(w))
            .map(|w| format!("--{}", w.name))
            .collect();
        names
    };
    let all = names(&|_| true).join(" ");
    let plain = plain(words);
    let numbers = names(&|w| w.value == Value::Number).join("|");
    let options = names(&|w| w.value == Value::Option).join("|");
    let texts = names(&|w| w.value == Value::Text).join("|");
    format!(
        "# bash completion of rsgi, written by: rsgi --completion bash\n\
         _rsgi() {{\n    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
         case $before in\n        \
         {numbers}) return ;;\n        \
         {options}) COMPREPLY=($(compgen -W \"{plain}\" -- \"$word\")); return ;;\n        \
         {texts}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n    \
         esac\n    \
         case $word in\n        \
         -*) COMPREPLY=($(compgen -W \"{all}\" -- \"$word\")) ;;\n        \
         *) COMPREPLY=($(compgen -f -- \"$word\")); ((COMP_CWORD > 1)) || COMPREPLY+=($(compgen -W top -- \"$word\")) ;;\n    \
         esac\n}}\n\
         complete -o filenames -F _rsgi rsgi\n"
    )
}

/// The names without their dashes, as `--explain` takes them.
fn plain(words: &[Word]) -> String {
    words.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// A file for zsh's function path.
pub fn zsh(words: &[Word]) -> String {
    let mut out = format!(
        "#compdef rsgi\n# zsh completion of rsgi, written by: rsgi --completion zsh\n\n\
         _rsgi_names() {{ compadd - {} }}\n\n_arguments \\\n",
        plain(words)
    );
    for word in words {
        let help: String = word.help.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]");
        let help = help.replace(':', "\\:");
        let (sign, value) = match word.value {
            Value::None => ("", ""),
            Value::Optional => ("=-", "::value:"),
            Value::Number => ("=", ":number:"),
            Value::Option => ("=", ":option:_rsgi_names"),
            Value::Text => ("=", ":value:_files"),
        };
        let _ = writeln!(out, "    '*--{}{sign}[{help}]{value}' \\", word.name);
    }
    out + "    '1:command or file:{ compadd top; _files }' \\\n    '*:file:_files'\n"
}

/// Commands of fish.
pub fn fish(words: &[Word]) -> String {
    let mut out = String::from("# fish completion of rsgi, written by: rsgi --completion fish\n");
    let _ = writeln!(
        out,
        "function __rsgi_names\n    string split ' ' '{}'\nend",
        plain(words)
    );
    out += "complete -c rsgi -n __fish_use_subcommand -a top -d 'watch a running server'\n";
    for word in words {
        let help = word.help.replace('\\', "\\\\").replace('\'', "\\'");
        let short = word.short.map_or(String::new(), |letter| format!(" -s {letter}"));
        let value = match word.value {
            Value::None | Value::Optional => "",
            Value::Number => " -x",
            Value::Option => " -x -a '(__rsgi_names)'",
            Value::Text => " -r -F",
        };
        let _ = writeln!(out, "complete -c rsgi{short} -l {}{value} -d '{help}'", word.name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_offered_by_each_shell() {
        let words = words(&[]);
        let (bash, zsh, fish) = (bash(&words), zsh(&words), fish(&words));
        for name in table::names() {
            assert!(bash.contains(&format!("--{name}")), "bash: {name}");
            assert!(zsh.contains(&format!("'*--{name}")), "zsh: {name}");
            assert!(fish.contains(&format!(" -l {name} ")), "fish: {name}");
        }
    }

    #[test]
    fn quotes_of_explanations_stay_text() {
        let word = Word {
            name: "x".into(),
            short: Some('x'),
            help: "it's [a]: b".into(),
            value: Value::Text,
        };
        assert!(zsh(std::slice::from_ref(&word)).contains("'*--x=[it'\\''s \\[a\\]\\: b]:value:_files'"));
        assert!(fish(&[word]).contains("-s x -l x -r -F -d 'it\\'s [a]: b'"));
    }
}
