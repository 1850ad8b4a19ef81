//! A request plugin (modifier1 202) that panics at `/panic`, fails at `/error`, and panics in the hook that `$PANIC`
//! names; the tests look at what the host makes of it.

use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin};

struct Panics;

fn maybe(hook: &str) -> Result<(), HookError> {
    if std::env::var("PANIC").is_ok_and(|named| named == hook) {
        panic!("asked for it in {hook}");
    }
    Ok(())
}

/// Hooks without a result.
macro_rules! plain {
    ($($hook:ident($($arg:ident: $type:ty),*))*) => { $(
        fn $hook($($arg: $type),*) -> Result<(), HookError> {
            $( let _ = &$arg; )*
            maybe(stringify!($hook))
        }
    )* };
}

impl Plugin for Panics {
    plain! {
        on_load() init() post_init() preinit_apps() init_apps() postinit_apps() post_fork() fixup() hijack_worker()
        master_cycle() atexit() init_thread(core: usize) pre_request(req: &mut Request<'_>)
        post_request(req: &mut Request<'_>) child_exit(worker: usize, pid: i32, status: i32) on_exit()
    }
    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        match req.path_info() {
            b"/panic" => panic!("asked for it"),
            b"/error" => Err(HookError::new("asked to fail")),
            _ => {
                req.start("200 OK")?;
                req.write_last(&[b"calm"])?;
                Ok(Outcome::Done)
            }
        }
    }
}

export_plugin! { rsgi_panics: Panics, name: c"panics", modifier1: 202, hooks: [
    on_load, init, post_init, preinit_apps, init_apps, postinit_apps, post_fork, fixup, hijack_worker, master_cycle,
    atexit, init_thread, pre_request, post_request, child_exit, on_exit, request
] }
