//! Forms of values that several groups share.

use crate::settings::TouchAction;

/// `FILE ACTION`
pub fn file_and_action(value: &str, form: &str) -> Result<TouchAction, String> {
    match value.trim().split_once(char::is_whitespace) {
        Some((file, action)) => Ok(TouchAction {
            file: file.to_owned(),
            action: action.trim_start().to_owned(),
        }),
        None => Err(format!("invalid value \"{value}\": give {form}")),
    }
}

/// `key=value,key=value`: a comma inside quotes or behind a backslash belongs to the value, quotes stay (most values
/// are commands).
///
/// # Errors
/// A part without `=`.
pub fn pairs(value: &str) -> Result<Vec<(String, String)>, String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match (letter, quote) {
            (',', None) => parts.push(String::new()),
            ('\\', None) if letters.peek() == Some(&',') => parts[last].extend(letters.next()),
            (c, Some(q)) if c == q => {
                quote = None;
                parts[last].push(c);
            }
            (c @ ('"' | '\''), None) => {
                quote = Some(c);
                parts[last].push(c);
            }
            (c, _) => parts[last].push(c),
        }
    }
    let split = |part: &String| match part.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("\"{part}\" is no key=value (write \\, for a comma in a value)")),
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commas_of_values_are_not_those_of_the_list() {
        let read = |text: &str| -> Vec<String> {
            let all = pairs(text).unwrap();
            all.iter().map(|(k, v)| format!("{k}|{v}")).collect()
        };
        assert_eq!(read("cmd=a b,freq=3"), ["cmd|a b", "freq|3"]);
        assert_eq!(read(r"cmd=a\, b\n ,x=,"), [r"cmd|a, b\n", "x|"]);
        assert_eq!(
            read(r#"cmd=sh -c 'a, "b', freq = 3"#),
            [r#"cmd|sh -c 'a, "b'"#, "freq|3"]
        );
        assert!(pairs("cmd=a,freq").unwrap_err().contains("\"freq\""));
    }

    proptest! {
        #[test]
        fn what_has_no_special_letter_is_read_as_written(list in proptest::collection::vec(("[a-z]{1,5}", "[a-z0-9/=. ]{0,9}"), 1..5)) {
            let text: Vec<String> = list.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let expected: Vec<(String, String)> = list.into_iter().map(|(k, v)| (k, v.trim().to_owned())).collect();
            prop_assert_eq!(pairs(&text.join(",")).unwrap(), expected);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = pairs(&text);
        }
    }
}
