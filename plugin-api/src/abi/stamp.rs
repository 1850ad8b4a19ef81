//! The stamp that every plugin carries as an ELF note, read by the host before it opens the file.

use super::{UwsgiPlugin, UwsgiServer};

/// The ELF section of the note.
pub const NOTE_SECTION: &str = ".note.uwsgi.abi";
/// The note's owner.
pub const NOTE_NAME: &[u8; 5] = b"uWSGI";

/// What a plugin was built against, or what this host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbiStamp {
    /// Plugins of another major are refused.
    pub major: u32,
    /// Grows when something is added.
    pub minor: u32,
    /// `sizeof(struct uwsgi_plugin)`: how many bytes of it may be read.
    pub plugin_size: u32,
    /// `sizeof(struct uwsgi_server)` as the plugin knows it; the host's is at least as large.
    pub server_size: u32,
}

impl AbiStamp {
    /// The stamp of this build.
    pub const CURRENT: AbiStamp = AbiStamp {
        major: 1,
        minor: 1,
        plugin_size: size_of::<UwsgiPlugin>() as u32,
        server_size: size_of::<UwsgiServer>() as u32,
    };
}

/// The note as it lies in the file; `export_plugin!` places one.
#[repr(C, align(4))]
pub struct AbiNote {
    name_size: u32,
    words_size: u32,
    kind: u32,
    name: [u8; 8],
    words: [u32; 4],
}

impl AbiNote {
    /// The note of this build.
    pub const CURRENT: AbiNote = AbiNote {
        name_size: 6,
        words_size: 16,
        kind: 1,
        name: *b"uWSGI\0\0\0",
        words: [
            AbiStamp::CURRENT.major,
            AbiStamp::CURRENT.minor,
            AbiStamp::CURRENT.plugin_size,
            AbiStamp::CURRENT.server_size,
        ],
    };
}

const _: () = assert!(
    size_of::<UwsgiPlugin>() == (51 + 15) * 8,
    "layer 0 grows with a minor version only"
);
