//! What an expression of a script comes to.

use super::Trouble;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list or tuple.
    List(Vec<Value>),
    /// A module, or something in one: `os.path`.
    Part(String),
    /// What a command prints, before it is read; it may have failed.
    Output(Option<String>),
    /// Only running the script would tell.
    Unknown(Trouble),
}

impl Value {
    /// Something that cannot be known.
    pub fn unknown(line: usize, what: impl Into<String>) -> Self {
        Self::Unknown(Trouble {
            line,
            what: what.into(),
        })
    }

    /// Its texts: of a list, or the one that it is; `None` is none.
    ///
    /// # Errors
    /// It is not known.
    pub fn list(&self) -> Result<Vec<String>, Trouble> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::List(items) => {
                let texts = items.iter().map(Self::list).collect::<Result<Vec<_>, _>>()?;
                Ok(texts.concat())
            }
            Self::Unknown(trouble) => Err(trouble.clone()),
            other => Ok(vec![other.text()]),
        }
    }

    /// As `str()` shows it.
    pub fn text(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Number(n) => n.to_string(),
            Self::Text(text) | Self::Part(text) => text.clone(),
            Self::Output(text) => text.clone().unwrap_or_default(),
            Self::List(_) | Self::Unknown(_) => String::new(),
        }
    }

    /// Whether it counts as true; `None`: nobody knows.
    pub fn truth(&self) -> Option<bool> {
        Some(match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Number(n) => *n != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Part(_) => true,
            Self::Output(_) | Self::Unknown(_) => return None,
        })
    }

    /// Whether it is known as a whole.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Unknown(trouble) => Some(trouble),
            Self::List(items) => items.iter().find_map(Self::trouble),
            _ => None,
        }
    }
}
