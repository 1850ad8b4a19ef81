//! The host's functions, as `include/uwsgi.h` declares them; the header says who may call what, where, and who owns
//! the memory. They resolve against the running `rsgi` when the plugin is loaded.
#![allow(missing_docs, clippy::too_many_arguments)]

use crate::abi::*;
use libc::{iovec, off_t, time_t};
use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    pub static mut uwsgi: UwsgiServer;
    pub static gzheader: [u8; 10];
    pub fn uwsgi_log_str(text: *const c_char, len: usize);
    pub fn log_request(a0: *mut WsgiRequest);
    pub fn uwsgi_register_logger(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiLogger, *mut c_char, usize) -> isize>,
    );
    pub fn uwsgi_register_router(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiRoute, *mut c_char) -> c_int>,
    ) -> *mut UwsgiRouter;
    pub fn uwsgi_register_route_condition(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiRoute) -> c_int>,
    ) -> *mut UwsgiRouteCondition;
    pub fn uwsgi_register_route_var(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u16, *mut u16) -> *mut c_char>,
    ) -> *mut UwsgiRouteVar;
    pub fn uwsgi_route_api_func(req: *mut WsgiRequest, name: *mut c_char, args: *mut c_char) -> c_int;
    pub fn uwsgi_routing_translate(
        req: *mut WsgiRequest,
        route: *mut UwsgiRoute,
        subject: *mut c_char,
        subject_len: u16,
        data: *mut c_char,
        len: usize,
    ) -> *mut UwsgiBuffer;
    pub fn uwsgi_register_alarm(name: *mut c_char, init: Option<UwsgiAlarmInit>, run: Option<UwsgiAlarmRun>);
    pub fn uwsgi_alarm_trigger(name: *mut c_char, message: *mut c_char, len: usize);
    pub fn rsgi_alarm(name: *const c_char, message: *const c_char, len: usize) -> c_int;
    pub fn uwsgi_register_hook(name: *mut c_char, func: Option<unsafe extern "C" fn(*mut c_char) -> c_int>);
    pub fn uwsgi_exit(code: c_int) -> !;
    pub fn uwsgi_malloc(a0: usize) -> *mut c_void;
    pub fn uwsgi_calloc(a0: usize) -> *mut c_void;
    pub fn uwsgi_concat2(a0: *mut c_char, a1: *mut c_char) -> *mut c_char;
    pub fn uwsgi_concat3(a0: *mut c_char, a1: *mut c_char, a2: *mut c_char) -> *mut c_char;
    pub fn uwsgi_concat4(a0: *mut c_char, a1: *mut c_char, a2: *mut c_char, a3: *mut c_char) -> *mut c_char;
    pub fn uwsgi_concat2n(a0: *mut c_char, a1: c_int, a2: *mut c_char, a3: c_int) -> *mut c_char;
    pub fn uwsgi_concat3n(
        a0: *mut c_char,
        a1: c_int,
        a2: *mut c_char,
        a3: c_int,
        a4: *mut c_char,
        a5: c_int,
    ) -> *mut c_char;
    pub fn uwsgi_concat4n(
        a0: *mut c_char,
        a1: c_int,
        a2: *mut c_char,
        a3: c_int,
        a4: *mut c_char,
        a5: c_int,
        a6: *mut c_char,
        a7: c_int,
    ) -> *mut c_char;
    pub fn uwsgi_strncopy(a0: *mut c_char, a1: c_int) -> *mut c_char;
    pub fn uwsgi_startswith(text: *mut c_char, prefix: *mut c_char, len: c_int) -> c_int;
    pub fn uwsgi_starts_with(text: *mut c_char, len: c_int, prefix: *mut c_char, plen: c_int) -> c_int;
    pub fn uwsgi_endswith(text: *mut c_char, suffix: *mut c_char) -> c_int;
    pub fn uwsgi_strncmp(a0: *mut c_char, a1: c_int, a2: *mut c_char, a3: c_int) -> c_int;
    pub fn uwsgi_strnicmp(a0: *mut c_char, a1: c_int, a2: *mut c_char, a3: c_int) -> c_int;
    pub fn uwsgi_contains_n(text: *mut c_char, len: usize, what: *mut c_char, wlen: usize) -> c_int;
    pub fn uwsgi_get_last_char(a0: *mut c_char, a1: c_char) -> *mut c_char;
    pub fn uwsgi_get_last_charn(a0: *mut c_char, a1: usize, a2: c_char) -> *mut c_char;
    pub fn uwsgi_num2str(a0: c_int) -> *mut c_char;
    pub fn uwsgi_64bit2str(a0: i64) -> *mut c_char;
    pub fn uwsgi_num2str2(a0: c_int, buf: *mut c_char) -> c_int;
    pub fn uwsgi_num2str2n(a0: c_int, buf: *mut c_char, size: c_int) -> c_int;
    pub fn uwsgi_str_num(a0: *mut c_char, len: c_int) -> u64;
    pub fn uwsgi_str2_num(a0: *mut c_char) -> c_int;
    pub fn uwsgi_str4_num(a0: *mut c_char) -> c_int;
    pub fn uwsgi_be16(a0: *mut c_char) -> u16;
    pub fn uwsgi_be32(a0: *mut c_char) -> u32;
    pub fn uwsgi_be64(a0: *mut c_char) -> u64;
    pub fn uwsgi_split3(
        a0: *mut c_char,
        a1: usize,
        sep: c_char,
        a3: *mut *mut c_char,
        a4: *mut usize,
        a5: *mut *mut c_char,
        a6: *mut usize,
        a7: *mut *mut c_char,
        a8: *mut usize,
    ) -> *mut c_char;
    pub fn uwsgi_split4(
        a0: *mut c_char,
        a1: usize,
        sep: c_char,
        a3: *mut *mut c_char,
        a4: *mut usize,
        a5: *mut *mut c_char,
        a6: *mut usize,
        a7: *mut *mut c_char,
        a8: *mut usize,
        a9: *mut *mut c_char,
        a10: *mut usize,
    ) -> *mut c_char;
    pub fn uwsgi_split_quoted(a0: *mut c_char, a1: usize, sep: *mut c_char, count: *mut usize) -> *mut *mut c_char;
    pub fn uwsgi_uuid(buf37: *mut c_char);
    pub fn escape_json(src: *mut c_char, len: usize, dst: *mut c_char);
    pub fn escape_shell_arg(src: *mut c_char, len: usize, dst: *mut c_char);
    pub fn uwsgi_is_again() -> c_int;
    pub fn uwsgi_now() -> time_t;
    pub fn uwsgi_micros() -> u64;
    pub fn uwsgi_buffer_new(size: usize) -> *mut UwsgiBuffer;
    pub fn uwsgi_buffer_destroy(a0: *mut UwsgiBuffer);
    pub fn uwsgi_buffer_fix(a0: *mut UwsgiBuffer, len: usize) -> c_int;
    pub fn uwsgi_buffer_ensure(a0: *mut UwsgiBuffer, len: usize) -> c_int;
    pub fn uwsgi_buffer_append(a0: *mut UwsgiBuffer, a1: *mut c_char, a2: usize) -> c_int;
    pub fn uwsgi_buffer_append_json(a0: *mut UwsgiBuffer, a1: *mut c_char, a2: usize) -> c_int;
    pub fn uwsgi_buffer_insert(a0: *mut UwsgiBuffer, at: usize, a2: *mut c_char, a3: usize) -> c_int;
    pub fn uwsgi_buffer_insert_chunked(a0: *mut UwsgiBuffer, at: usize, len: usize) -> c_int;
    pub fn uwsgi_buffer_append_chunked(a0: *mut UwsgiBuffer, len: usize) -> c_int;
    pub fn uwsgi_buffer_decapitate(a0: *mut UwsgiBuffer, a1: usize) -> c_int;
    pub fn uwsgi_buffer_byte(a0: *mut UwsgiBuffer, a1: c_char) -> c_int;
    pub fn uwsgi_buffer_u8(a0: *mut UwsgiBuffer, a1: u8) -> c_int;
    pub fn uwsgi_buffer_u16le(a0: *mut UwsgiBuffer, a1: u16) -> c_int;
    pub fn uwsgi_buffer_u16be(a0: *mut UwsgiBuffer, a1: u16) -> c_int;
    pub fn uwsgi_buffer_u24be(a0: *mut UwsgiBuffer, a1: u32) -> c_int;
    pub fn uwsgi_buffer_u32le(a0: *mut UwsgiBuffer, a1: u32) -> c_int;
    pub fn uwsgi_buffer_u32be(a0: *mut UwsgiBuffer, a1: u32) -> c_int;
    pub fn uwsgi_buffer_u64le(a0: *mut UwsgiBuffer, a1: u64) -> c_int;
    pub fn uwsgi_buffer_u64be(a0: *mut UwsgiBuffer, a1: u64) -> c_int;
    pub fn uwsgi_buffer_f32be(a0: *mut UwsgiBuffer, a1: f32) -> c_int;
    pub fn uwsgi_buffer_f64be(a0: *mut UwsgiBuffer, a1: f64) -> c_int;
    pub fn uwsgi_buffer_num64(a0: *mut UwsgiBuffer, a1: i64) -> c_int;
    pub fn uwsgi_buffer_append_keyval(
        a0: *mut UwsgiBuffer,
        a1: *mut c_char,
        a2: u16,
        a3: *mut c_char,
        a4: u16,
    ) -> c_int;
    pub fn uwsgi_buffer_append_keyval32(
        a0: *mut UwsgiBuffer,
        a1: *mut c_char,
        a2: u32,
        a3: *mut c_char,
        a4: u32,
    ) -> c_int;
    pub fn uwsgi_buffer_append_keynum(a0: *mut UwsgiBuffer, a1: *mut c_char, a2: u16, a3: i64) -> c_int;
    pub fn uwsgi_buffer_append_valnum(a0: *mut UwsgiBuffer, a1: i64) -> c_int;
    pub fn uwsgi_buffer_set_uh(a0: *mut UwsgiBuffer, modifier1: u8, modifier2: u8) -> c_int;
    pub fn uwsgi_buffer_send(a0: *mut UwsgiBuffer, fd: c_int) -> c_int;
    pub fn uwsgi_buffer_map(a0: *mut UwsgiBuffer, a1: *mut c_char, a2: usize);
    pub fn uwsgi_buffer_from_file(file: *mut c_char) -> *mut UwsgiBuffer;
    pub fn uwsgi_opt_set_str(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_set_int(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_set_16bit(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_set_64bit(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_true(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_false(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_add_string_list(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_add_addr_list(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_print(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_string_new_list(a0: *mut *mut UwsgiStringList, a1: *mut c_char) -> *mut UwsgiStringList;
    pub fn uwsgi_string_list_has_item(a0: *mut UwsgiStringList, a1: *mut c_char, a2: usize) -> *mut UwsgiStringList;
    pub fn uwsgi_kvlist_parse_pairs(
        a0: *mut c_char,
        a1: usize,
        list_separator: c_char,
        kv_separator: c_int,
        keys: *mut *mut c_char,
        values: *mut *mut *mut c_char,
        count: usize,
    ) -> c_int;
    pub fn uwsgi_hooked_parse(
        a0: *mut c_char,
        a1: usize,
        func: Option<unsafe extern "C" fn(*mut c_char, u16, *mut c_char, u16, *mut c_void)>,
        data: *mut c_void,
    ) -> c_int;
    pub fn uwsgi_parse_vars(a0: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_get_var(a0: *mut WsgiRequest, key: *mut c_char, len: u16, vallen: *mut u16) -> *mut c_char;
    pub fn uwsgi_get_qs(a0: *mut WsgiRequest, key: *mut c_char, len: u16, vallen: *mut u16) -> *mut c_char;
    pub fn uwsgi_get_cookie(a0: *mut WsgiRequest, key: *mut c_char, len: u16, vallen: *mut u16) -> *mut c_char;
    pub fn uwsgi_req_append(
        a0: *mut WsgiRequest,
        key: *mut c_char,
        keylen: u16,
        val: *mut c_char,
        vallen: u16,
    ) -> *mut c_char;
    pub fn uwsgi_request_body_read(a0: *mut WsgiRequest, hint: isize, rlen: *mut isize) -> *mut c_char;
    pub fn uwsgi_request_body_readline(a0: *mut WsgiRequest, hint: isize, rlen: *mut isize) -> *mut c_char;
    pub fn uwsgi_request_body_seek(a0: *mut WsgiRequest, a1: off_t);
    pub fn uwsgi_get_app_id(a0: *mut WsgiRequest, key: *mut c_char, len: u16, modifier1: c_int) -> c_int;
    pub fn uwsgi_manage_exception(a0: *mut WsgiRequest, catch_it: c_int) -> c_int;
    pub fn uwsgi_response_prepare_headers(a0: *mut WsgiRequest, status: *mut c_char, len: u16) -> c_int;
    pub fn uwsgi_response_prepare_headers_int(a0: *mut WsgiRequest, status: c_int) -> c_int;
    pub fn uwsgi_response_add_header(a0: *mut WsgiRequest, a1: *mut c_char, a2: u16, a3: *mut c_char, a4: u16)
    -> c_int;
    pub fn uwsgi_response_add_content_length(a0: *mut WsgiRequest, a1: u64) -> c_int;
    pub fn uwsgi_response_add_content_range(a0: *mut WsgiRequest, from: i64, to: i64, size: i64) -> c_int;
    pub fn uwsgi_response_add_last_modified(a0: *mut WsgiRequest, seconds: u64) -> c_int;
    pub fn uwsgi_response_add_expires(a0: *mut WsgiRequest, seconds: u64) -> c_int;
    pub fn uwsgi_response_write_headers_do(a0: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_response_write_body_do(a0: *mut WsgiRequest, a1: *mut c_char, a2: usize) -> c_int;
    pub fn uwsgi_response_sendfile_do(a0: *mut WsgiRequest, fd: c_int, pos: usize, len: usize) -> c_int;
    pub fn uwsgi_403(a0: *mut WsgiRequest);
    pub fn uwsgi_404(a0: *mut WsgiRequest);
    pub fn uwsgi_405(a0: *mut WsgiRequest);
    pub fn uwsgi_500(a0: *mut WsgiRequest);
    pub fn uwsgi_redirect_to_slash(a0: *mut WsgiRequest);
    pub fn uwsgi_add_app(
        id: c_int,
        modifier1: u8,
        mountpoint: *mut c_char,
        len: c_int,
        interpreter: *mut c_void,
        callable: *mut c_void,
    ) -> *mut UwsgiApp;
    pub fn uwsgi_emulate_cow_for_apps(id: c_int);
    pub fn uwsgi_apps_of_process() -> *mut UwsgiApp;
    pub fn uwsgi_apps_cnt_of_process() -> *mut c_int;
    pub fn uwsgi_socket_nb(fd: c_int);
    pub fn uwsgi_socket_b(fd: c_int);
    pub fn uwsgi_connect(address: *mut c_char, timeout: c_int, nonblocking: c_int) -> c_int;
    pub fn uwsgi_resolve_ip(host: *mut c_char) -> *mut c_char;
    pub fn socket_to_in_addr(
        name: *mut c_char,
        colon: *mut c_char,
        port: c_int,
        address: *mut libc::sockaddr_in,
    ) -> libc::socklen_t;
    pub fn socket_to_un_addr(name: *mut c_char, address: *mut libc::sockaddr_un) -> libc::socklen_t;
    pub fn uwsgi_write_nb(fd: c_int, a1: *mut c_char, a2: usize, timeout: c_int) -> c_int;
    pub fn uwsgi_read_nb(fd: c_int, a1: *mut c_char, a2: usize, timeout: c_int) -> c_int;
    pub fn set_harakiri(seconds: c_int);
    pub fn uwsgi_set_processname(a0: *mut c_char);
    pub fn uwsgi_worker_is_busy(worker_id: c_int) -> c_int;
    pub fn register_gateway(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(c_int, *mut c_void)>,
        data: *mut c_void,
    ) -> *mut UwsgiGateway;
    pub fn uwsgi_spool_request(
        a0: *mut WsgiRequest,
        packet: *mut c_char,
        len: usize,
        body: *mut c_char,
        body_len: usize,
    ) -> *mut c_char;
    pub fn rsgi_spooler_dir(number: c_int, buf: *mut c_char, size: usize) -> c_int;
    pub fn rsgi_spooler_pid(number: c_int) -> c_int;
    pub fn rsgi_spooler_frequency(seconds: c_int);
    pub fn rsgi_spooler_job(number: c_int, buf: *mut c_char, size: usize) -> c_int;
    pub fn uwsgi_lock_init(name: *mut c_char) -> *mut UwsgiLockItem;
    pub fn uwsgi_rwlock_init(name: *mut c_char) -> *mut UwsgiLockItem;
    pub fn uwsgi_lock(lock: *mut UwsgiLockItem);
    pub fn uwsgi_unlock(lock: *mut UwsgiLockItem);
    pub fn uwsgi_rlock(lock: *mut UwsgiLockItem);
    pub fn uwsgi_wlock(lock: *mut UwsgiLockItem);
    pub fn uwsgi_rwunlock(lock: *mut UwsgiLockItem);
    pub fn uwsgi_lock_check(lock: *mut UwsgiLockItem) -> libc::pid_t;
    pub fn rsgi_lock(lock: *mut UwsgiLockItem, wait: c_int) -> c_int;
    pub fn uwsgi_cache_magic_get(
        key: *mut c_char,
        keylen: u16,
        vallen: *mut u64,
        expires: *mut u64,
        cache: *mut c_char,
    ) -> *mut c_char;
    pub fn uwsgi_cache_magic_set(
        key: *mut c_char,
        keylen: u16,
        value: *mut c_char,
        vallen: u64,
        expires: u64,
        flags: u64,
        cache: *mut c_char,
    ) -> c_int;
    pub fn uwsgi_cache_magic_del(key: *mut c_char, keylen: u16, cache: *mut c_char) -> c_int;
    pub fn uwsgi_cache_magic_exists(key: *mut c_char, keylen: u16, cache: *mut c_char) -> c_int;
    pub fn uwsgi_cache_magic_clear(cache: *mut c_char) -> c_int;
    pub fn rsgi_cache_get(
        key: *const c_char,
        keylen: usize,
        buf: *mut c_char,
        size: usize,
        cache: *const c_char,
    ) -> isize;
    pub fn rsgi_cache_keys(
        cache: *const c_char,
        func: Option<unsafe extern "C" fn(*const c_char, usize, *mut c_void)>,
        data: *mut c_void,
    ) -> c_int;
    pub fn uwsgi_queue_push(message: *mut c_char, len: u64) -> c_int;
    pub fn uwsgi_queue_pull(len: *mut u64) -> *mut c_char;
    pub fn uwsgi_queue_pop(len: *mut u64) -> *mut c_char;
    pub fn uwsgi_queue_get(slot: u64, len: *mut u64) -> *mut c_char;
    pub fn uwsgi_queue_set(slot: u64, message: *mut c_char, len: u64) -> c_int;
    pub fn rsgi_queue_last(back: u64, len: *mut u64) -> *mut c_char;
    pub fn rsgi_queue_slots(push: *mut u64, pull: *mut u64) -> u64;
    pub fn uwsgi_sharedarea_read(id: c_int, pos: u64, buf: *mut c_char, len: u64) -> i64;
    pub fn uwsgi_sharedarea_write(id: c_int, pos: u64, bytes: *mut c_char, len: u64) -> c_int;
    pub fn uwsgi_sharedarea_read8(id: c_int, pos: u64, value: *mut i8) -> c_int;
    pub fn uwsgi_sharedarea_read16(id: c_int, pos: u64, value: *mut i16) -> c_int;
    pub fn uwsgi_sharedarea_read32(id: c_int, pos: u64, value: *mut i32) -> c_int;
    pub fn uwsgi_sharedarea_read64(id: c_int, pos: u64, value: *mut i64) -> c_int;
    pub fn uwsgi_sharedarea_write8(id: c_int, pos: u64, value: *mut i8) -> c_int;
    pub fn uwsgi_sharedarea_write16(id: c_int, pos: u64, value: *mut i16) -> c_int;
    pub fn uwsgi_sharedarea_write32(id: c_int, pos: u64, value: *mut i32) -> c_int;
    pub fn uwsgi_sharedarea_write64(id: c_int, pos: u64, value: *mut i64) -> c_int;
    pub fn uwsgi_sharedarea_inc32(id: c_int, pos: u64, by: i32) -> c_int;
    pub fn uwsgi_sharedarea_inc64(id: c_int, pos: u64, by: i64) -> c_int;
    pub fn uwsgi_sharedarea_dec32(id: c_int, pos: u64, by: i32) -> c_int;
    pub fn uwsgi_sharedarea_dec64(id: c_int, pos: u64, by: i64) -> c_int;
    pub fn uwsgi_sharedarea_rlock(id: c_int) -> c_int;
    pub fn uwsgi_sharedarea_wlock(id: c_int) -> c_int;
    pub fn uwsgi_sharedarea_unlock(id: c_int) -> c_int;
    pub fn rsgi_sharedarea(id: c_int, size: *mut u64) -> *mut c_char;
    pub fn uwsgi_register_metric(
        name: *mut c_char,
        oid: *mut c_char,
        kind: u8,
        collector: *mut c_char,
        value: *mut c_void,
        freq: u32,
        custom: *mut c_void,
    ) -> *mut UwsgiMetric;
    pub fn uwsgi_metric_get(name: *mut c_char, oid: *mut c_char) -> i64;
    pub fn uwsgi_metric_set(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_inc(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_dec(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_mul(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_div(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_set_max(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_metric_set_min(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int;
    pub fn uwsgi_register_rpc(name: *mut c_char, plugin: *mut UwsgiPlugin, argc: u8, function: *mut c_void) -> c_int;
    pub fn uwsgi_rpc(
        name: *mut c_char,
        argc: u8,
        argv: *mut *mut c_char,
        argvs: *mut u16,
        response: *mut *mut c_char,
    ) -> u64;
    pub fn uwsgi_do_rpc(
        node: *mut c_char,
        name: *mut c_char,
        argc: u8,
        argv: *mut *mut c_char,
        argvs: *mut u16,
        len: *mut u64,
    ) -> *mut c_char;
    pub fn rsgi_rpc_name(number: c_int, buf: *mut c_char, size: usize) -> c_int;
    pub fn mule_send_msg(fd: c_int, message: *mut c_char, len: usize) -> c_int;
    pub fn uwsgi_mule_get_msg(
        manage_signals: c_int,
        manage_farms: c_int,
        message: *mut c_char,
        size: usize,
        timeout: c_int,
    ) -> isize;
    pub fn rsgi_mule_send(mule: c_int, message: *const c_char, len: usize) -> c_int;
    pub fn rsgi_mule_queue(mule: c_int) -> c_int;
    pub fn rsgi_farm_send(farm: *const c_char, message: *const c_char, len: usize) -> c_int;
    pub fn rsgi_farm_get_msg(message: *mut c_char, size: usize) -> isize;
    pub fn rsgi_in_farm(farm: *const c_char) -> c_int;
    pub fn rsgi_gateway_bind(address: *const c_char) -> c_int;
    pub fn rsgi_gateway_link(buf: *mut c_char, size: usize) -> isize;
    pub fn rsgi_response_writev_now(a0: *mut WsgiRequest, parts: *const iovec, count: usize, last: c_int) -> c_int;
    pub fn rsgi_response_wait(a0: *mut WsgiRequest) -> c_int;
    pub fn rsgi_response_writev(a0: *mut WsgiRequest, parts: *const iovec, count: usize, last: c_int) -> c_int;
    pub fn rsgi_request_client_gone(a0: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_disconnect(a0: *mut WsgiRequest);
    pub fn uwsgi_logvar_add(a0: *mut WsgiRequest, key: *mut c_char, keylen: u8, val: *mut c_char, vallen: u8);
    pub fn rsgi_logvar_get(a0: *mut WsgiRequest, key: *mut c_char, keylen: u8, val: *mut *mut c_char) -> c_int;
    pub fn rsgi_default_option(
        name: *const c_char,
        value: *const c_char,
        unless: *const c_char,
        origin: *const c_char,
    ) -> c_int;
    pub fn rsgi_notify_alive();
    pub fn rsgi_plugin_modifier(a0: *const UwsgiPlugin) -> c_int;
    pub fn uwsgi_register_signal(signal: u8, target: *mut c_char, handler: *mut c_void, modifier1: u8) -> c_int;
    pub fn uwsgi_signal_registered(signal: u8) -> c_int;
    pub fn uwsgi_signal_send(fd: c_int, signal: u8) -> c_int;
    pub fn uwsgi_remote_signal_send(address: *mut c_char, signal: u8) -> c_int;
    pub fn uwsgi_add_timer(signal: u8, seconds: c_int) -> c_int;
    pub fn uwsgi_signal_add_rb_timer(signal: u8, seconds: c_int, iterations: c_int) -> c_int;
    pub fn uwsgi_signal_add_cron(
        signal: u8,
        minute: c_int,
        hour: c_int,
        day: c_int,
        month: c_int,
        weekday: c_int,
    ) -> c_int;
    pub fn uwsgi_add_file_monitor(signal: u8, path: *mut c_char) -> c_int;
    pub fn uwsgi_signal_wait(signal: c_int) -> c_int;
    pub fn uwsgi_receive_signal(fd: c_int, name: *mut c_char, id: c_int);
    pub fn rsgi_add_timer(signal: u8, nanoseconds: i64, iterations: c_int) -> c_int;
    pub fn rsgi_add_file_monitor(signal: u8, path: *const c_char, iterations: c_int, recursive: c_int) -> c_int;
    pub fn rsgi_remove_source(signal: u8, kind: c_int) -> c_int;
    pub fn rsgi_unregister_signal(signal: u8) -> c_int;
    pub fn rsgi_magic(letter: c_char, buf: *mut c_char, size: usize) -> c_int;
    pub fn rsgi_signal_coalesce(signal: u8, once: c_int) -> c_int;
    pub fn rsgi_signal_received() -> c_int;
    pub fn rsgi_signal_error() -> *const c_char;
    pub fn uwsgi_open_and_read(
        url: *mut c_char,
        size: *mut usize,
        add_zero: c_int,
        magic_table: *mut *mut c_char,
    ) -> *mut c_char;
    pub fn rsgi_set_harakiri(a0: *mut WsgiRequest, seconds: c_int);
    pub fn rsgi_events_on_signal(seen: Option<unsafe extern "C" fn(signal: u8, handled: c_int) -> c_int>);
    pub fn uwsgi_websocket_handshake(
        a0: *mut WsgiRequest,
        key: *mut c_char,
        key_len: u16,
        origin: *mut c_char,
        origin_len: u16,
        proto: *mut c_char,
        proto_len: u16,
    ) -> c_int;
    pub fn uwsgi_websocket_recv(a0: *mut WsgiRequest) -> *mut UwsgiBuffer;
    pub fn uwsgi_websocket_recv_nb(a0: *mut WsgiRequest) -> *mut UwsgiBuffer;
    pub fn uwsgi_websocket_send(a0: *mut WsgiRequest, a1: *mut c_char, a2: usize) -> c_int;
    pub fn uwsgi_websocket_send_binary(a0: *mut WsgiRequest, a1: *mut c_char, a2: usize) -> c_int;
    pub fn uwsgi_chunked_read(a0: *mut WsgiRequest, len: *mut usize, timeout: c_int, nb: c_int) -> *mut c_char;
    pub fn rsgi_request_body_read_nb(a0: *mut WsgiRequest, data: *mut *mut c_char) -> isize;
    pub fn rsgi_request_body_is_read(a0: *mut WsgiRequest) -> c_int;
    pub fn rsgi_websocket_accept(a0: *mut WsgiRequest) -> c_int;
    pub fn rsgi_websocket_waits(a0: *mut WsgiRequest) -> c_int;
    pub fn rsgi_websocket_read(a0: *mut WsgiRequest, data: *mut *mut c_char, len: *mut usize) -> c_int;
    pub fn rsgi_websocket_close(a0: *mut WsgiRequest, code: c_int, reason: *const c_char, len: usize);
    pub fn rsgi_events_begin(hooks: *const RsgiEvents) -> c_int;
    pub fn rsgi_events_turn() -> c_int;
    pub fn rsgi_events_finish(a0: *mut WsgiRequest, complete: c_int) -> c_int;
    pub fn rsgi_events_kept(a0: *mut WsgiRequest) -> usize;
    pub fn rsgi_events_wait(a0: *mut WsgiRequest);
    pub fn uwsgi_register_stats_pusher(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiStatsPusherInstance, time_t, *mut c_char, usize)>,
    ) -> *mut UwsgiStatsPusher;
    pub fn uwsgi_stats_pusher_add(a0: *mut UwsgiStatsPusher, arg: *mut c_char) -> *mut UwsgiStatsPusherInstance;
    pub fn uwsgi_register_logchunk(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut *mut c_char) -> isize>,
        need_free: c_int,
    ) -> *mut UwsgiLogchunk;
    pub fn uwsgi_logvar_get(a0: *mut WsgiRequest, key: *mut c_char, keylen: u8) -> *mut UwsgiLogvar;
    pub fn uwsgi_register_exception_handler(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiExceptionHandlerInstance, *mut c_char, usize) -> c_int>,
    ) -> *mut UwsgiExceptionHandler;
    pub fn uwsgi_hooked_parse_array(
        a0: *mut c_char,
        a1: usize,
        func: Option<unsafe extern "C" fn(u16, *mut c_char, u16, *mut c_void)>,
        data: *mut c_void,
    ) -> c_int;
    pub fn uwsgi_register_cheaper_algo(name: *mut c_char, func: Option<unsafe extern "C" fn(c_int) -> c_int>);
    pub fn uwsgi_register_log_encoder(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiLogEncoder, *mut c_char, usize, *mut usize) -> *mut c_char>,
    );
    pub fn uwsgi_register_clock(a0: *mut UwsgiClock);
    pub fn uwsgi_opt_add_regexp_list(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_add_mule(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_set_placeholder(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_add_lazy_socket(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_set_logger(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_uid(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_gid(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn uwsgi_opt_deprecated(a0: *mut c_char, a1: *mut c_char, a2: *mut c_void);
    pub fn add_exported_option(key: *mut c_char, value: *mut c_char, configured: c_int);
    pub fn uwsgi_regexp_build(text: *mut c_char, pattern: *mut *mut c_void, extra: *mut *mut c_void) -> c_int;
    pub fn uwsgi_regexp_match(pattern: *mut c_void, extra: *mut c_void, text: *mut c_char, len: c_int) -> c_int;
    pub fn event_queue_init() -> c_int;
    pub fn event_queue_read() -> c_int;
    pub fn event_queue_write() -> c_int;
    pub fn event_queue_add_fd_read(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_add_fd_write(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_del_fd(queue: c_int, fd: c_int, event: c_int) -> c_int;
    pub fn event_queue_fd_read_to_write(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_fd_write_to_read(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_fd_read_to_readwrite(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_fd_write_to_readwrite(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_fd_readwrite_to_read(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_fd_readwrite_to_write(queue: c_int, fd: c_int) -> c_int;
    pub fn event_queue_wait(queue: c_int, timeout: c_int, fd: *mut c_int) -> c_int;
    pub fn event_queue_alloc(count: c_int) -> *mut c_void;
    pub fn event_queue_wait_multi(queue: c_int, timeout: c_int, events: *mut c_void, count: c_int) -> c_int;
    pub fn event_queue_interesting_fd(events: *mut c_void, at: c_int) -> c_int;
    pub fn event_queue_interesting_fd_is_read(events: *mut c_void, at: c_int) -> c_int;
    pub fn event_queue_interesting_fd_is_write(events: *mut c_void, at: c_int) -> c_int;
    pub fn event_queue_interesting_fd_has_error(events: *mut c_void, at: c_int) -> c_int;
    pub fn bind_to_tcp(name: *mut c_char, queue: c_int, colon: *mut c_char) -> c_int;
    pub fn bind_to_unix(name: *mut c_char, queue: c_int, chmod_to_666: c_int, is_abstract: c_int) -> c_int;
    pub fn bind_to_udp(name: *mut c_char, multicast: c_int, broadcast: c_int) -> c_int;
    pub fn bind_to_unix_dgram(name: *mut c_char) -> c_int;
    pub fn uwsgi_connectn(address: *mut c_char, len: u16, timeout: c_int, nonblocking: c_int) -> c_int;
    pub fn uwsgi_connect_udp(address: *mut c_char) -> c_int;
    pub fn uwsgi_getsockname(fd: c_int) -> *mut c_char;
    pub fn uwsgi_socket_passcred(fd: c_int) -> c_int;
    pub fn uwsgi_get_socket_by_num(number: c_int) -> *mut UwsgiSocket;
    pub fn uwsgi_waitfd_event(fd: c_int, timeout: c_int, event: c_int) -> c_int;
    pub fn uwsgi_simple_wait_read_hook(fd: c_int, timeout: c_int) -> c_int;
    pub fn uwsgi_simple_wait_write_hook(fd: c_int, timeout: c_int) -> c_int;
    pub fn uwsgi_write_true_nb(fd: c_int, a1: *mut c_char, a2: usize, timeout: c_int) -> c_int;
    pub fn uwsgi_read_true_nb(fd: c_int, a1: *mut c_char, a2: usize, timeout: c_int) -> isize;
    pub fn uwsgi_file_exists(path: *mut c_char) -> c_int;
    pub fn uwsgi_is_file(path: *mut c_char) -> c_int;
    pub fn uwsgi_is_dir(path: *mut c_char) -> c_int;
    pub fn uwsgi_get_cwd() -> *mut c_char;
    pub fn uwsgi_expand_path(path: *mut c_char, len: c_int, result: *mut c_char) -> *mut c_char;
    pub fn uwsgi_get_mime_type(name: *mut c_char, len: c_int, typelen: *mut usize) -> *mut c_char;
    pub fn uwsgi_simple_file_read(path: *mut c_char) -> *mut c_char;
    pub fn uwsgi_read_fd(fd: c_int, size: *mut usize, add_zero: c_int) -> *mut c_char;
    pub fn uwsgi_read_with_realloc(
        fd: c_int,
        buf: *mut *mut c_char,
        len: *mut usize,
        timeout: c_int,
        modifier1: *mut u8,
        modifier2: *mut u8,
    ) -> c_int;
    pub fn uwsgi_read_response(fd: c_int, a1: *mut UwsgiHeader, timeout: c_int, buf: *mut *mut c_char) -> c_int;
    pub fn uwsgi_base64_decode(a0: *mut c_char, a1: usize, len: *mut usize) -> *mut c_char;
    pub fn uwsgi_base64_encode(a0: *mut c_char, a1: usize, len: *mut usize) -> *mut c_char;
    pub fn http_url_decode(a0: *mut c_char, len: *mut u16, dst: *mut c_char);
    pub fn http_url_encode(a0: *mut c_char, len: *mut u16, dst: *mut c_char);
    pub fn uwsgi_http_date(a0: time_t, dst31: *mut c_char) -> c_int;
    pub fn uwsgi_lower(a0: *mut c_char, a1: usize) -> *mut c_char;
    pub fn uwsgi_str_contains(a0: *mut c_char, a1: c_int, a2: c_char) -> *mut c_char;
    pub fn uwsgi_str_occurence(a0: *mut c_char, a1: usize, a2: c_char) -> usize;
    pub fn uwsgi_str_split_nget(
        a0: *mut c_char,
        a1: usize,
        separator: c_char,
        number: usize,
        len: *mut usize,
    ) -> *mut c_char;
    pub fn uwsgi_dyn_dict_new(
        list: *mut *mut UwsgiDynDict,
        key: *mut c_char,
        keylen: c_int,
        value: *mut c_char,
        vallen: c_int,
    ) -> *mut UwsgiDynDict;
    pub fn uwsgi_dyn_dict_del(a0: *mut UwsgiDynDict);
    pub fn uwsgi_stats_new(chunk: usize) -> *mut UwsgiStats;
    pub fn uwsgi_stats_comma(a0: *mut UwsgiStats) -> c_int;
    pub fn uwsgi_stats_object_open(a0: *mut UwsgiStats) -> c_int;
    pub fn uwsgi_stats_object_close(a0: *mut UwsgiStats) -> c_int;
    pub fn uwsgi_stats_list_open(a0: *mut UwsgiStats) -> c_int;
    pub fn uwsgi_stats_list_close(a0: *mut UwsgiStats) -> c_int;
    pub fn uwsgi_stats_key(a0: *mut UwsgiStats, a1: *mut c_char) -> c_int;
    pub fn uwsgi_stats_str(a0: *mut UwsgiStats, a1: *mut c_char) -> c_int;
    pub fn uwsgi_stats_keyval(a0: *mut UwsgiStats, a1: *mut c_char, a2: *mut c_char) -> c_int;
    pub fn uwsgi_stats_keyval_comma(a0: *mut UwsgiStats, a1: *mut c_char, a2: *mut c_char) -> c_int;
    pub fn uwsgi_stats_keyvaln(a0: *mut UwsgiStats, a1: *mut c_char, a2: *mut c_char, a3: c_int) -> c_int;
    pub fn uwsgi_stats_keyvaln_comma(a0: *mut UwsgiStats, a1: *mut c_char, a2: *mut c_char, a3: c_int) -> c_int;
    pub fn uwsgi_stats_keylong(a0: *mut UwsgiStats, a1: *mut c_char, a2: u64) -> c_int;
    pub fn uwsgi_stats_keylong_comma(a0: *mut UwsgiStats, a1: *mut c_char, a2: u64) -> c_int;
    pub fn uwsgi_stats_keyslong(a0: *mut UwsgiStats, a1: *mut c_char, a2: i64) -> c_int;
    pub fn uwsgi_stats_keyslong_comma(a0: *mut UwsgiStats, a1: *mut c_char, a2: i64) -> c_int;
    pub fn uwsgi_thread_new(func: Option<unsafe extern "C" fn(*mut UwsgiThread)>) -> *mut UwsgiThread;
    pub fn uwsgi_thread_new_with_data(
        func: Option<unsafe extern "C" fn(*mut UwsgiThread)>,
        data: *mut c_void,
    ) -> *mut UwsgiThread;
    pub fn uwsgi_sharedarea_init_ptr(area: *mut c_char, len: u64) -> *mut UwsgiSharedarea;
    pub fn uwsgi_sharedarea_get_by_id(id: c_int, pos: u64) -> *mut UwsgiSharedarea;
    pub fn uwsgi_worker_exceptions(worker_id: c_int) -> u64;
    pub fn set_user_harakiri(seconds: c_int);
    pub fn uwsgi_add_alarm_fd(
        fd: c_int,
        alarm: *mut c_char,
        len: usize,
        message: *mut c_char,
        message_len: usize,
    ) -> *mut UwsgiAlarmFd;
    pub fn uwsgi_cache_by_name(name: *mut c_char) -> *mut UwsgiCache;
    pub fn uwsgi_cache_by_namelen(name: *mut c_char, len: u16) -> *mut UwsgiCache;
    pub fn uwsgi_cache_set2(
        a0: *mut UwsgiCache,
        key: *mut c_char,
        keylen: u16,
        value: *mut c_char,
        vallen: u64,
        expires: u64,
        flags: u64,
    ) -> c_int;
    pub fn uwsgi_cache_del2(a0: *mut UwsgiCache, key: *mut c_char, keylen: u16, index: u64, flags: u16) -> c_int;
    pub fn uwsgi_cache_exists2(a0: *mut UwsgiCache, key: *mut c_char, keylen: u16) -> u32;
    pub fn uwsgi_cache_get3(
        a0: *mut UwsgiCache,
        key: *mut c_char,
        keylen: u16,
        vallen: *mut u64,
        expires: *mut u64,
    ) -> *mut c_char;
    pub fn uwsgi_register_protocol(
        name: *mut c_char,
        setup: Option<unsafe extern "C" fn(*mut UwsgiSocket)>,
    ) -> *mut UwsgiProtocol;
    pub fn proto_base_add_uwsgi_var(
        req: *mut WsgiRequest,
        key: *mut c_char,
        keylen: u16,
        val: *mut c_char,
        vallen: u16,
    ) -> u16;
    pub fn proto_base_add_uwsgi_header(
        req: *mut WsgiRequest,
        key: *mut c_char,
        keylen: u16,
        val: *mut c_char,
        vallen: u16,
    ) -> u16;
    pub fn uwsgi_proto_base_prepare_headers(req: *mut WsgiRequest, s: *mut c_char, len: u16) -> *mut UwsgiBuffer;
    pub fn uwsgi_proto_base_cgi_prepare_headers(req: *mut WsgiRequest, s: *mut c_char, len: u16) -> *mut UwsgiBuffer;
    pub fn uwsgi_proto_base_add_header(
        req: *mut WsgiRequest,
        key: *mut c_char,
        keylen: u16,
        val: *mut c_char,
        vallen: u16,
    ) -> *mut UwsgiBuffer;
    pub fn uwsgi_proto_base_fix_headers(req: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_proto_base_write(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int;
    pub fn uwsgi_proto_base_write_header(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int;
    pub fn uwsgi_proto_base_read_body(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> isize;
    pub fn uwsgi_proto_noop_read_body(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> isize;
    pub fn uwsgi_register_loop(name: *mut c_char, func: Option<unsafe extern "C" fn()>);
    pub fn find_first_available_wsgi_req() -> *mut WsgiRequest;
    pub fn uwsgi_async_queue_is_full(now: time_t);
    pub fn wsgi_req_setup(a0: *mut WsgiRequest, async_id: c_int, a2: *mut UwsgiSocket);
    pub fn wsgi_req_simple_accept(a0: *mut WsgiRequest, fd: c_int) -> c_int;
    pub fn wsgi_req_accept(queue: c_int, a1: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_add_sockets_to_queue(queue: c_int, async_id: c_int);
    pub fn uwsgi_count_sockets(a0: *mut UwsgiSocket) -> c_int;
    pub fn wsgi_req_recv(queue: c_int, a1: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_apply_routes(a0: *mut WsgiRequest) -> c_int;
    pub fn uwsgi_close_request(a0: *mut WsgiRequest);
    pub fn uwsgi_destroy_request(a0: *mut WsgiRequest);
    pub fn uwsgi_loop_cores_run(func: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>);
    pub fn uwsgi_setup_thread_req(core: std::ffi::c_long, a1: *mut WsgiRequest);
    pub fn uwsgi_add_transformation(
        a0: *mut WsgiRequest,
        func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiTransformation) -> c_int>,
        data: *mut c_void,
    ) -> *mut UwsgiTransformation;
    pub fn uwsgi_offload_register_engine(
        name: *mut c_char,
        prepare: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiOffloadRequest) -> c_int>,
        event: Option<unsafe extern "C" fn(*mut UwsgiThread, *mut UwsgiOffloadRequest, c_int) -> c_int>,
    ) -> *mut UwsgiOffloadEngine;
    pub fn uwsgi_offload_setup(
        a0: *mut UwsgiOffloadEngine,
        a1: *mut UwsgiOffloadRequest,
        a2: *mut WsgiRequest,
        takeover: u8,
    );
    pub fn uwsgi_offload_run(a0: *mut WsgiRequest, a1: *mut UwsgiOffloadRequest, wait: *mut c_int) -> c_int;
    pub fn uwsgi_register_imperial_monitor(
        scheme: *mut c_char,
        init: Option<unsafe extern "C" fn(*mut UwsgiEmperorScanner)>,
        func: Option<unsafe extern "C" fn(*mut UwsgiEmperorScanner)>,
    );
    pub fn emperor_get(name: *mut c_char) -> *mut UwsgiInstance;
    pub fn emperor_add(
        a0: *mut UwsgiEmperorScanner,
        name: *mut c_char,
        modified: time_t,
        config: *mut c_char,
        config_len: u32,
        uid: libc::uid_t,
        gid: libc::gid_t,
        socket: *mut c_char,
    );
    pub fn emperor_stop(a0: *mut UwsgiInstance);
    pub fn emperor_respawn(a0: *mut UwsgiInstance, modified: time_t);
    pub fn uwsgi_emperor_simple_do(
        a0: *mut UwsgiEmperorScanner,
        name: *mut c_char,
        config: *mut c_char,
        modified: time_t,
        uid: libc::uid_t,
        gid: libc::gid_t,
        socket: *mut c_char,
    );
    pub fn uwsgi_ssl_init();
    pub fn uwsgi_master_manage_emperor_proxy();
    pub fn uwsgi_legion_action_register(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiLegion, *mut c_char) -> c_int>,
    ) -> *mut UwsgiLegionAction;
    pub fn uwsgi_register_metric_collector(
        name: *mut c_char,
        func: Option<unsafe extern "C" fn(*mut UwsgiMetric) -> i64>,
    ) -> *mut UwsgiMetricCollector;
    pub fn uwsgi_additional_header_add(a0: *mut WsgiRequest, line: *mut c_char, len: u16);
    pub fn uwsgi_metric_getn(name: *mut c_char, a1: usize, oid: *mut c_char, a3: usize) -> i64;
    pub fn uwsgi_websocket_send_from_sharedarea(a0: *mut WsgiRequest, id: c_int, pos: u64, len: u64) -> c_int;
    pub fn uwsgi_websocket_send_binary_from_sharedarea(a0: *mut WsgiRequest, id: c_int, pos: u64, len: u64) -> c_int;
    pub fn uwsgi_sharedarea_update(id: c_int) -> c_int;
    pub fn uwsgi_offload_request_memory_do(a0: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int;
    pub fn uwsgi_offload_request_sendfile_do(a0: *mut WsgiRequest, fd: c_int, pos: usize, len: usize) -> c_int;
    pub fn uwsgi_sendfile_do(out: c_int, input: c_int, pos: usize, len: usize) -> isize;
    pub fn uwsgi_tmpfd() -> c_int;
    pub fn uwsgi_fcntl_lock(fd: c_int) -> c_int;
    pub fn uwsgi_is_connected(fd: c_int) -> c_int;
    pub fn uwsgi_accept(fd: c_int) -> c_int;
    pub fn uwsgi_protected_close(fd: c_int);
    pub fn uwsgi_exec_command_with_args(a0: *mut c_char);
    pub fn uwsgi_binsh() -> *mut c_char;
    pub fn get_memusage(resident: *mut u64, address_space: *mut u64);
    pub fn uwsgi_plugin_get(name: *const c_char) -> *mut UwsgiPlugin;
    pub fn uwsgi_count_options(a0: *mut UwsgiOption) -> c_int;
    pub fn uwsgi_list_has_str(words: *mut c_char, word: *mut c_char) -> c_int;
    pub fn uwsgi_concat2nn(a0: *mut c_char, a1: c_int, a2: *mut c_char, a3: c_int, len: *mut c_int) -> *mut c_char;
    pub fn uwsgi_legion_i_am_the_lord(name: *mut c_char) -> c_int;
}
