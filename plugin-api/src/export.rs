//! `export_plugin!`: from a [`crate::Plugin`] to the exported C struct with its stamp.

/// An empty plugin struct, to be filled.
pub const EMPTY: crate::abi::UwsgiPlugin = {
    // SAFETY: every field is a nullable pointer, an optional function or an integer: all-zero is valid.
    unsafe { std::mem::zeroed() }
};

/// Makes the exported static shareable: it is constant.
#[repr(transparent)]
pub struct Exported(pub crate::abi::UwsgiPlugin);

// SAFETY: the struct is never written after the build; the pointers in it point at constants.
unsafe impl Sync for Exported {}

/// Turns bytes into a new buffer that the host destroys; NULL for `None`.
pub fn new_buffer(text: Option<Vec<u8>>) -> *mut crate::abi::UwsgiBuffer {
    let Some(text) = text else {
        return std::ptr::null_mut();
    };
    // SAFETY: the buffer is new and ours until returned; pointer and length describe `text`.
    unsafe {
        let buffer = crate::sys::uwsgi_buffer_new(text.len().max(1));
        crate::sys::uwsgi_buffer_append(buffer, text.as_ptr().cast_mut().cast(), text.len());
        buffer
    }
}

/// A message as the hook gets it; not for direct use.
///
/// # Safety
/// `message` points at `len` bytes that outlive the result, or `len` is 0.
#[doc(hidden)]
pub unsafe fn message<'a>(message: *const std::ffi::c_char, len: usize) -> &'a [u8] {
    match len {
        0 => &[],
        // SAFETY: by the contract.
        _ => unsafe { std::slice::from_raw_parts(message.cast(), len) },
    }
}

/// Exports a plugin: `export_plugin! { symbol: Type, name: c"name", modifier1: N, options: TABLE, hooks: [a, b] }`.
///
/// `options:` may be left out. The symbol must be `<file stem>` or `<name>_plugin`.
#[macro_export]
macro_rules! export_plugin {
    ($symbol:ident : $plugin:ty, name: $name:expr, modifier1: $modifier1:expr, $(options: $options:expr,)? hooks: [$($hook:ident),* $(,)?] $(,)?) => {
        #[used]
        #[unsafe(link_section = ".note.uwsgi.abi")]
        static ABI_NOTE: $crate::abi::AbiNote = $crate::abi::AbiNote::CURRENT;

        $crate::__layout!();

        /// The plugin as the host finds it.
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        pub static $symbol: $crate::export::Exported = {
            #[allow(unused_mut)]
            let mut plugin = $crate::export::EMPTY;
            plugin.name = ($name as &::std::ffi::CStr).as_ptr();
            plugin.modifier1 = $modifier1;
            $( plugin.options = (&$options as *const _ as *mut $crate::abi::UwsgiOption); )?
            plugin.on_load = $crate::__hook!($plugin, forward_on_load);
            $( plugin.$hook = $crate::__hook!($plugin, $hook); )*
            $crate::export::Exported(plugin)
        };
    };
}

/// The function that hands the layouts out; not for direct use.
#[doc(hidden)]
#[cfg(feature = "layout-check")]
#[macro_export]
macro_rules! __layout {
    () => {
        /// The layouts that this plugin was compiled with.
        #[unsafe(no_mangle)]
        pub extern "C" fn rsgi_plugin_layout() -> *const ::std::ffi::c_void {
            $crate::layout::own()
        }
    };
}

/// Without the check there is nothing to hand out.
#[doc(hidden)]
#[cfg(not(feature = "layout-check"))]
#[macro_export]
macro_rules! __layout {
    () => {};
}

/// One hook's C function; not for direct use.
#[doc(hidden)]
#[macro_export]
macro_rules! __hook {
    ($plugin:ty, forward_on_load) => {{
        unsafe extern "C" fn on_load() {
            $crate::log::forward();
        }
        Some(on_load)
    }};
    ($plugin:ty, on_load) => {{
        unsafe extern "C" fn on_load() {
            $crate::log::forward();
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "on_load", (), <$plugin as $crate::Plugin>::on_load)
        }
        Some(on_load)
    }};
    ($plugin:ty, init) => {{
        unsafe extern "C" fn init() -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "init", -1, || <$plugin as $crate::Plugin>::init().map(|()| 0))
        }
        Some(init)
    }};
    ($plugin:ty, configure) => { $crate::__hook!(@verdict $plugin, configure) };
    ($plugin:ty, on_starting) => { $crate::__hook!(@verdict $plugin, on_starting) };
    ($plugin:ty, when_ready) => { $crate::__hook!(@verdict $plugin, when_ready) };
    (@verdict $plugin:ty, $name:ident) => {{
        unsafe extern "C" fn $name() -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), stringify!($name), -1, || {
                <$plugin as $crate::Plugin>::$name().map(|()| 0)
            })
        }
        Some($name)
    }};
    ($plugin:ty, pre_fork) => {{
        unsafe extern "C" fn pre_fork(worker: ::std::ffi::c_int) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "pre_fork", -1, || {
                <$plugin as $crate::Plugin>::pre_fork(worker as usize).map(|()| 0)
            })
        }
        Some(pre_fork)
    }};
    ($plugin:ty, child_exit) => {{
        unsafe extern "C" fn child_exit(
            worker: ::std::ffi::c_int,
            pid: ::std::ffi::c_int,
            status: ::std::ffi::c_int,
        ) {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "child_exit", (), || {
                <$plugin as $crate::Plugin>::child_exit(worker as usize, pid, status)
            })
        }
        Some(child_exit)
    }};
    ($plugin:ty, nworkers_changed) => {{
        unsafe extern "C" fn nworkers_changed(now: ::std::ffi::c_int, before: ::std::ffi::c_int) {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "nworkers_changed", (), || {
                <$plugin as $crate::Plugin>::nworkers_changed(now as usize, usize::try_from(before).ok())
            })
        }
        Some(nworkers_changed)
    }};
    ($plugin:ty, worker_int) => { $crate::__hook!(@step $plugin, worker_int) };
    ($plugin:ty, worker_abort) => { $crate::__hook!(@step $plugin, worker_abort) };
    (@step $plugin:ty, $name:ident) => {{
        // no guard: it would log, which a signal handler must not; the trait's method cannot fail
        unsafe extern "C" fn $name(step: ::std::ffi::c_int) -> ::std::ffi::c_int {
            ::std::ffi::c_int::from(<$plugin as $crate::Plugin>::$name(step != 0))
        }
        Some($name)
    }};
    ($plugin:ty, dump_stacks) => {{
        // no guard: as above
        unsafe extern "C" fn dump_stacks(fd: ::std::ffi::c_int) {
            <$plugin as $crate::Plugin>::dump_stacks(fd)
        }
        Some(dump_stacks)
    }};
    ($plugin:ty, pre_request) => { $crate::__hook!(@request_unit $plugin, pre_request) };
    ($plugin:ty, post_request) => { $crate::__hook!(@request_unit $plugin, post_request) };
    ($plugin:ty, request) => {{
        unsafe extern "C" fn request(req: *mut $crate::abi::WsgiRequest) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "request", -1, || {
                // SAFETY: the host passes its request of this core, valid until the hook returns.
                let mut req = unsafe { $crate::Request::from_raw(req) };
                <$plugin as $crate::Plugin>::request(&mut req).map(|o| match o {
                    $crate::Outcome::Done => $crate::abi::UWSGI_OK,
                    $crate::Outcome::Again => $crate::abi::UWSGI_AGAIN,
                    $crate::Outcome::Refused => -1,
                })
            })
        }
        Some(request)
    }};
    ($plugin:ty, after_request) => { $crate::__hook!(@request_unit $plugin, after_request) };
    ($plugin:ty, exception_log) => { $crate::__hook!(@request_unit $plugin, exception_log) };
    (@request_unit $plugin:ty, $name:ident) => {{
        unsafe extern "C" fn $name(req: *mut $crate::abi::WsgiRequest) {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), stringify!($name), (), || {
                // SAFETY: the host passes its request of this core, valid until the hook returns.
                <$plugin as $crate::Plugin>::$name(&mut unsafe { $crate::Request::from_raw(req) })
            })
        }
        Some($name)
    }};
    ($plugin:ty, exception_class) => { $crate::__hook!(@text $plugin, exception_class) };
    ($plugin:ty, exception_msg) => { $crate::__hook!(@text $plugin, exception_msg) };
    ($plugin:ty, exception_repr) => { $crate::__hook!(@text $plugin, exception_repr) };
    ($plugin:ty, backtrace) => { $crate::__hook!(@text $plugin, backtrace) };
    (@text $plugin:ty, $name:ident) => {{
        unsafe extern "C" fn $name(req: *mut $crate::abi::WsgiRequest) -> *mut $crate::abi::UwsgiBuffer {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), stringify!($name), ::std::ptr::null_mut(), || {
                // SAFETY: the host passes its request of this core, valid until the hook returns.
                let mut req = unsafe { $crate::Request::from_raw(req) };
                Ok($crate::export::new_buffer(<$plugin as $crate::Plugin>::$name(&mut req)))
            })
        }
        Some($name)
    }};
    ($plugin:ty, init_thread) => {{
        unsafe extern "C" fn init_thread(core: ::std::ffi::c_int) {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "init_thread", (), || {
                <$plugin as $crate::Plugin>::init_thread(core as usize)
            })
        }
        Some(init_thread)
    }};
    ($plugin:ty, master_fixup) => { $crate::__hook!(@int $plugin, master_fixup) };
    ($plugin:ty, harakiri) => { $crate::__hook!(@int $plugin, harakiri) };
    ($plugin:ty, worker_exit) => { $crate::__hook!(@int $plugin, worker_exit) };
    ($plugin:ty, post_uwsgi_fork) => { $crate::__hook!(@int $plugin, post_uwsgi_fork) };
    (@int $plugin:ty, $name:ident) => {{
        unsafe extern "C" fn $name(value: ::std::ffi::c_int) {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), stringify!($name), (), || {
                <$plugin as $crate::Plugin>::$name(value)
            })
        }
        Some($name)
    }};
    ($plugin:ty, mount_app) => {{
        unsafe extern "C" fn mount_app(
            mountpoint: *mut ::std::ffi::c_char,
            app: *mut ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "mount_app", -1, || {
                // SAFETY: the host passes two NUL-terminated strings that live as long as the process.
                let (mountpoint, app) =
                    unsafe { (::std::ffi::CStr::from_ptr(mountpoint), ::std::ffi::CStr::from_ptr(app)) };
                <$plugin as $crate::Plugin>::mount_app(mountpoint, app).map(|id| id.unwrap_or(-1))
            })
        }
        Some(mount_app)
    }};
    ($plugin:ty, magic) => {{
        unsafe extern "C" fn magic(
            mountpoint: *mut ::std::ffi::c_char,
            file: *mut ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "magic", 0, || {
                // SAFETY: the host passes NUL-terminated strings; the mountpoint may be NULL.
                let (mountpoint, file) = unsafe {
                    (
                        (!mountpoint.is_null()).then(|| ::std::ffi::CStr::from_ptr(mountpoint)),
                        ::std::ffi::CStr::from_ptr(file),
                    )
                };
                <$plugin as $crate::Plugin>::magic(mountpoint, file).map(::std::ffi::c_int::from)
            })
        }
        Some(magic)
    }};
    ($plugin:ty, signal_handler) => {{
        unsafe extern "C" fn signal_handler(signal: u8, handler: *mut ::std::ffi::c_void) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "signal_handler", -1, || {
                <$plugin as $crate::Plugin>::signal_handler(signal, handler as usize).map(|()| 0)
            })
        }
        Some(signal_handler)
    }};
    ($plugin:ty, rpc) => {{
        unsafe extern "C" fn rpc(
            function: *mut ::std::ffi::c_void,
            argc: u8,
            argv: *mut *mut ::std::ffi::c_char,
            argvs: *mut u16,
            response: *mut *mut ::std::ffi::c_char,
        ) -> u64 {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "rpc", 0, || {
                // SAFETY: the host passes that many texts with their lengths, valid until the hook returns.
                let arguments = unsafe { $crate::rpc::arguments(argc, argv, argvs) };
                let answer = <$plugin as $crate::Plugin>::rpc(function as usize, &arguments)?;
                // SAFETY: the host's place for the answer.
                Ok(unsafe { $crate::rpc::give(answer, response) })
            })
        }
        Some(rpc)
    }};
    ($plugin:ty, mule_msg) => {{
        unsafe extern "C" fn mule_msg(message: *mut ::std::ffi::c_char, len: usize) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "mule_msg", 0, || {
                // SAFETY: the host passes a message of that length, valid until the hook returns.
                let message = unsafe { $crate::export::message(message, len) };
                <$plugin as $crate::Plugin>::mule_msg(message).map(::std::ffi::c_int::from)
            })
        }
        Some(mule_msg)
    }};
    ($plugin:ty, mule) => {{
        unsafe extern "C" fn mule(script: *mut ::std::ffi::c_char) -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "mule", 0, || {
                // SAFETY: the host passes a NUL-terminated string.
                let script = unsafe { ::std::ffi::CStr::from_ptr(script) };
                <$plugin as $crate::Plugin>::mule(script).map(::std::ffi::c_int::from)
            })
        }
        Some(mule)
    }};
    ($plugin:ty, spooler) => {{
        unsafe extern "C" fn spooler(
            file: *mut ::std::ffi::c_char,
            packet: *mut ::std::ffi::c_char,
            len: u16,
            body: *mut ::std::ffi::c_char,
            body_len: usize,
        ) -> ::std::ffi::c_int {
            // a task that failed is tried again
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "spooler", -1, || {
                // SAFETY: the host passes a NUL-terminated name, and texts with their lengths.
                let (file, packet, body) = unsafe {
                    (
                        ::std::ffi::CStr::from_ptr(file),
                        $crate::export::message(packet, len.into()),
                        $crate::export::message(body, body_len),
                    )
                };
                <$plugin as $crate::Plugin>::spooler(file, packet, body)
            })
        }
        Some(spooler)
    }};
    ($plugin:ty, worker) => {{
        unsafe extern "C" fn worker() -> ::std::ffi::c_int {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), "worker", 1, || {
                <$plugin as $crate::Plugin>::worker().map(::std::ffi::c_int::from)
            })
        }
        Some(worker)
    }};
    ($plugin:ty, $name:ident) => {{
        unsafe extern "C" fn $name() {
            $crate::guard::hook(env!("CARGO_PKG_NAME"), stringify!($name), (), <$plugin as $crate::Plugin>::$name)
        }
        Some($name)
    }};
}
