//! rsgi, the server: parse, load, run, exit code.
fn main() {}
