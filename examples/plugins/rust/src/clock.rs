//! A source of time: `--clock epoch` stands still.

use rsgi_plugin_api::kind;

pub struct Epoch;

impl kind::Clock for Epoch {
    fn micros() -> u64 {
        1_000_000
    }
}
