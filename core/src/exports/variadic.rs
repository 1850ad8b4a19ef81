//! The variadic functions of the C API. Stable Rust cannot define them, so C does (`csrc/variadic.c`), under other names:
//! a name that C defines is not among the symbols that Rust lets a shared library show. Each function here hands its
//! arguments on as they came, in their registers and on the stack.

use std::arch::naked_asm;

/// A jump that leaves everything as it is.
#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    ($to:path) => {
        naked_asm!("jmp {}", sym $to)
    };
}
#[cfg(any(target_arch = "aarch64", target_arch = "loongarch64"))]
macro_rules! jump {
    ($to:path) => {
        naked_asm!("b {}", sym $to)
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! jump {
    ($to:path) => {
        naked_asm!("tail {}", sym $to)
    };
}
#[cfg(target_arch = "s390x")]
macro_rules! jump {
    ($to:path) => {
        naked_asm!("jg {}", sym $to)
    };
}

macro_rules! variadic {
    ($($name:ident => $work:ident),*) => {$(
        unsafe extern "C" {
            fn $work();
        }
        /// See `uwsgi.h`.
        ///
        /// # Safety
        /// As the header says.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            jump!($work)
        }
    )*};
}

variadic! {
    uwsgi_log => rsgi_c_log,
    uwsgi_log_verbose => rsgi_c_log_verbose,
    uwsgi_kvlist_parse => rsgi_c_kvlist_parse
}
