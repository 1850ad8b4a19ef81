//! rsgi, the server: parse, load, run, exit code. Nothing else lives here.

use rsgi_core::process;
use rsgi_core::program::{self, Program};

fn main() {
    rsgi_core::plugin::inside::end::watch();
    match program::set_up(std::env::args_os(), std::env::vars_os()) {
        Program::Serve(settings) => process::exit(program::run(*settings)),
        Program::Over(0) => {}
        Program::Over(code) => process::exit(code),
    }
}
