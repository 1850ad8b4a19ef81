//! No option of uWSGI is unknown: each is there, or its plugin is named, or it is refused with a reason.

use super::table;

/// Options that real configurations use: none may be refused.
const NEEDED: &str = include_str!("names/needed.txt");
/// All others.
const OTHERS: &str = include_str!("names/others.txt");

fn is_known(name: &str) -> bool {
    table::find(name).is_some() || table::owners::find(name).is_some()
}

#[test]
fn every_needed_option_is_known() {
    let missing: Vec<&str> = NEEDED.split_whitespace().filter(|name| !is_known(name)).collect();
    assert!(missing.is_empty(), "unknown or refused: {missing:?}");
}

#[test]
fn every_other_option_is_known_or_refused_with_a_reason() {
    let missing: Vec<&str> = OTHERS
        .split_whitespace()
        .filter(|name| !is_known(name) && table::refused::find(name).is_none())
        .collect();
    assert!(missing.is_empty(), "neither known nor refused: {missing:?}");
}

#[test]
fn the_lists_are_whole() {
    assert!(NEEDED.split_whitespace().count() > 450 && OTHERS.split_whitespace().count() > 850);
}
