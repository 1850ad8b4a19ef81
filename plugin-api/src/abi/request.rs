//! One request as C plugins see it.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::UwsgiSocket;
use libc::{FILE, iovec};
use std::ffi::{c_char, c_int, c_void};

/// `struct uwsgi_header`.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct UwsgiHeader {
    pub modifier1: u8,
    pub pktsize: u16,
    pub modifier2: u8,
}

/// `struct wsgi_request`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct WsgiRequest {
    pub fd: c_int,
    pub uh: *mut UwsgiHeader,
    pub app_id: c_int,
    pub async_id: c_int,
    pub async_status: c_int,
    pub switches: c_int,
    pub headers_sent: c_int,
    pub status: c_int,
    pub headers_size: usize,
    pub response_size: usize,
    pub header_cnt: u64,
    pub write_errors: u64,
    pub read_errors: u64,
    pub start_of_request: u64,
    pub start_of_request_in_sec: u64,
    pub end_of_request: u64,
    pub uri: *mut c_char,
    pub uri_len: u16,
    pub remote_addr: *mut c_char,
    pub remote_addr_len: u16,
    pub remote_user: *mut c_char,
    pub remote_user_len: u16,
    pub query_string: *mut c_char,
    pub query_string_len: u16,
    pub protocol: *mut c_char,
    pub protocol_len: u16,
    pub method: *mut c_char,
    pub method_len: u16,
    pub scheme: *mut c_char,
    pub scheme_len: u16,
    pub https: *mut c_char,
    pub https_len: u16,
    pub script_name: *mut c_char,
    pub script_name_len: u16,
    pub path_info: *mut c_char,
    pub path_info_len: u16,
    pub host: *mut c_char,
    pub host_len: u16,
    pub user_agent: *mut c_char,
    pub user_agent_len: u16,
    pub referer: *mut c_char,
    pub referer_len: u16,
    pub cookie: *mut c_char,
    pub cookie_len: u16,
    pub authorization: *mut c_char,
    pub authorization_len: u16,
    pub document_root: *mut c_char,
    pub document_root_len: u16,
    pub content_type: *mut c_char,
    pub content_type_len: u16,
    pub encoding: *mut c_char,
    pub encoding_len: u16,
    pub range: *mut c_char,
    pub range_len: u16,
    pub if_range: *mut c_char,
    pub if_range_len: u16,
    pub if_modified_since: *mut c_char,
    pub if_modified_since_len: u16,
    pub appid: *mut c_char,
    pub appid_len: u16,
    pub file: *mut c_char,
    pub file_len: u16,
    pub hvec: *mut iovec,
    pub var_cnt: u16,
    pub post_cl: usize,
    pub post_pos: usize,
    pub post_file: *mut FILE,
    pub body_is_chunked: c_int,
    pub range_from: i64,
    pub range_to: i64,
    pub via: u16,
    pub log_this: c_int,
    pub do_not_log: c_int,
    pub socket: *mut UwsgiSocket,
    pub proto_parser_remains: usize,
    pub proto_parser_remains_buf: *mut c_void,
    pub suspended: c_int,
    pub async_environ: *mut c_void,
    pub async_args: *mut c_void,
    pub async_app: *mut c_void,
    pub async_result: *mut c_void,
    pub async_placeholder: *mut c_void,
    pub sendfile_fd: c_int,
    pub host_private: *mut c_void,
    pub reserved: [u64; 16],
}
