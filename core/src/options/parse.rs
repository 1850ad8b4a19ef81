//! Values: numbers, words for on and off, comments behind a value.

/// A value and the comment that somebody wrote behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Trimmed<'a> {
    /// Without the comment.
    pub value: &'a str,
    /// `; four`
    pub comment: Option<&'a str>,
}

/// Splits `4 ; four`: a sign behind white space begins a comment.
pub fn without_comment(value: &str) -> Trimmed<'_> {
    let sign = value
        .char_indices()
        .zip(value.chars().skip(1))
        .find(|((_, before), sign)| before.is_whitespace() && matches!(sign, ';' | '#'));
    match sign {
        Some(((at, _), _)) => Trimmed {
            value: value[..at].trim_end(),
            comment: Some(value[at..].trim_start()),
        },
        None => Trimmed { value, comment: None },
    }
}

/// On or off; `None`: neither word.
pub fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "" | "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        other => other.parse::<u64>().ok().map(|n| n != 0),
    }
}

/// A whole number within limits; the error is complete but for the option's name.
pub fn number(value: &str, min: u64, max: u64) -> Result<u64, String> {
    let value = value.trim();
    if let Some(name) = unset_variable(value) {
        return Err(format!(
            "invalid number \"{value}\": the environment variable {name} is not set"
        ));
    }
    let Ok(number) = value.parse::<i128>() else {
        let fix = match without_unit(value, max > u64::from(u32::MAX)) {
            Some(meant) => format!("units are not understood, write {meant}"),
            None => "give a whole number".to_owned(),
        };
        return Err(format!("invalid number \"{value}\": {fix}"));
    };
    match u64::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ if number < i128::from(min) => Err(format!("invalid number \"{value}\": the least is {min}")),
        _ => Err(format!("invalid number \"{value}\": the most is {max}")),
    }
}

/// What `30s`, `5m` or `50M` probably means: bytes or seconds.
fn without_unit(value: &str, is_bytes: bool) -> Option<u64> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = value[..digits].parse().ok()?;
    let unit = value[digits..].trim().to_ascii_lowercase();
    let factor = match (unit.trim_end_matches("ib").trim_end_matches('b'), is_bytes) {
        ("k", true) => 1024,
        ("m", true) => 1024 * 1024,
        ("g", true) => 1024 * 1024 * 1024,
        ("m" | "min" | "minutes", false) => 60,
        ("h" | "hours", false) => 3600,
        _ => 1,
    };
    number.checked_mul(factor)
}

/// The name in a `$(NAME)` that was not resolved.
pub fn unset_variable(value: &str) -> Option<&str> {
    let rest = &value[value.find("$(")? + 2..];
    rest.find(')').map(|end| &rest[..end])
}

/// Permission bits in octal: `660`, `0660`.
pub fn mode(value: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(value.trim(), 8);
    mode.ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("invalid mode \"{value}\": give octal permission bits like 660"))
}

/// `number rest`, as timers and touch options have it.
pub fn number_and_rest(value: &str) -> Option<(u64, &str)> {
    let (number, rest) = value.trim().split_once(char::is_whitespace)?;
    Some((number.parse().ok()?, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comments_need_white_space_before_them() {
        let split = |v| {
            let t = without_comment(v);
            (t.value.to_owned(), t.comment.map(str::to_owned))
        };
        assert_eq!(split("4 ; four"), ("4".into(), Some("; four".into())));
        assert_eq!(split("4\t# four"), ("4".into(), Some("# four".into())));
        assert_eq!(split("a;b#c"), ("a;b#c".into(), None));
        assert_eq!(split("; x"), ("; x".into(), None));
        assert_eq!(split("é ;x"), ("é".into(), Some(";x".into())));
    }

    #[test]
    fn words_are_on_or_off() {
        for on in ["true", "TRUE", "1", "yes", "On", "", "2"] {
            assert_eq!(boolean(on), Some(true), "{on}");
        }
        for off in ["false", "False", "0", "no", "OFF"] {
            assert_eq!(boolean(off), Some(false), "{off}");
        }
        assert_eq!(boolean("maybe"), None);
    }

    #[test]
    fn numbers_are_whole_and_within_limits() {
        assert_eq!(number(" 4 ", 0, 10), Ok(4));
        assert!(number("abc", 0, 10).unwrap_err().starts_with("invalid number \"abc\""));
        assert!(number("30s", 0, 100).unwrap_err().ends_with("write 30"));
        assert!(number("5m", 0, 100).unwrap_err().ends_with("write 300"));
        assert!(number("50M", 0, u64::MAX).unwrap_err().ends_with("write 52428800"));
        assert!(number("-1", 0, 10).unwrap_err().ends_with("the least is 0"));
        assert!(number("11", 0, 10).unwrap_err().ends_with("the most is 10"));
        assert!(
            number("99999999999999999999", 0, 10)
                .unwrap_err()
                .ends_with("the most is 10")
        );
        assert!(number("$(WORKERS)", 0, 10).unwrap_err().contains("WORKERS is not set"));
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("660"), Ok(0o660));
        assert_eq!(mode("0664"), Ok(0o664));
        assert!(mode("999").is_err() && mode("p4").is_err() && mode("77777").is_err());
    }

    proptest! {
        #[test]
        fn never_panic(value in ".{0,20}") {
            let _ = (without_comment(&value), boolean(&value), number(&value, 0, 9), mode(&value), number_and_rest(&value));
        }

        #[test]
        fn every_number_in_range_is_read(n in 0u64..=u64::MAX) {
            prop_assert_eq!(number(&n.to_string(), 0, u64::MAX), Ok(n));
        }
    }
}
