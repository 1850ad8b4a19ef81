//! Farms: groups of mules that share one queue, `NAME:MULE,MULE` in the configuration.

use super::queue::Queue;

/// A group of mules.
#[derive(Debug)]
pub struct Farm {
    /// Its name.
    pub name: String,
    /// Numbers of its mules.
    pub mules: Vec<usize>,
    /// Whoever of them is free first reads it.
    pub queue: Queue,
}

/// Reads a farm's name and the numbers of its mules, of which there are `count`.
///
/// # Errors
/// What is wrong with it, without its place.
pub fn parse(text: &str, count: usize) -> Result<(String, Vec<usize>), String> {
    let wrong = || format!("invalid farm value ({text}) must be in the form name:mule[,muleN]");
    let (name, list) = text.split_once(':').ok_or_else(wrong)?;
    let mut mules = Vec::new();
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let id: usize = word.parse().map_err(|_| wrong())?;
        if id == 0 || id > count {
            return Err(format!(
                "invalid mule id: {id} (farm {text}): there are {count}, counted from 1"
            ));
        }
        if !mules.contains(&id) {
            mules.push(id);
        }
    }
    if name.is_empty() || mules.is_empty() {
        return Err(wrong());
    }
    Ok((name.to_owned(), mules))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_farm_names_mules_that_are_there() {
        assert_eq!(parse("crew:1, 3,3", 3), Ok(("crew".into(), vec![1, 3])));
        assert!(parse("crew:5", 1).unwrap_err().starts_with("invalid mule id: 5"));
        assert!(parse("crew:0", 1).unwrap_err().starts_with("invalid mule id: 0"));
        for wrong in ["crew", "crew:", ":1", "crew:x", "crew:,"] {
            assert!(
                parse(wrong, 3).unwrap_err().starts_with("invalid farm value"),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_gives_a_mule_that_is_not_there(text in ".{0,20}", count in 0usize..4) {
            if let Ok((_, mules)) = parse(&text, count) {
                prop_assert!(mules.iter().all(|id| (1..=count).contains(id)));
            }
        }
    }
}
