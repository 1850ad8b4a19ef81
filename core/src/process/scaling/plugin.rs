//! Algorithms of `--cheaper-algo` that plugins bring. Registered in the start, asked by the master once a second.

use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use rsgi_plugin_api::abi::UwsgiCheaperFn;

/// What is brought.
pub static ALGORITHMS: Offered<Brought<UwsgiCheaperFn>> = Offered::none();
