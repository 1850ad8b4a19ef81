//! rsgi, the server: parse, load, run, exit code. Nothing else lives here, but an end that plugins
//! call.

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

/// As plugins find it, in place of the C library's: of a process that nobody watches, nobody else could say it.
#[unsafe(no_mangle)]
extern "C" fn _exit(code: std::ffi::c_int) -> ! {
    rsgi_core::plugin::inside::end::hard_exit(code)
}
