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
