//! What more a plugin file says of itself: its hooks, what it calls and what it is linked to. For `--plugin-info`.

use super::{Image, PluginFile};
use crate::plugin::loader::LoadError;
use crate::plugin::mapped::Mapped;
use object::read::elf::{Dyn, ProgramHeader};
use object::{Object, ObjectSymbol, elf};
use rsgi_plugin_api::abi::{AbiStamp, UwsgiPlugin};
use std::mem::offset_of;
use std::path::Path;

macro_rules! offsets {
    ($($name:ident)*) => { &[$((stringify!($name), offset_of!(UwsgiPlugin, $name))),*] };
}

/// All hooks, and where their pointers lie in the struct.
const HOOKS: &[(&str, usize)] = offsets![
    on_load init post_init post_fork enable_threads init_thread request after_request preinit_apps init_apps
    postinit_apps fixup master_fixup master_cycle mount_app manage_udp suspend resume harakiri hijack_worker
    spooler_init atexit magic encode_string decode_string signal_handler code_string spooler rpc jail post_jail
    before_privileges_drop mule mule_msg master_cleanup backtrace exception_class exception_msg exception_repr
    exception_log vassal vassal_before_exec worker early_post_jail pre_uwsgi_fork post_uwsgi_fork configure dump_stacks
    on_starting on_reload when_ready pre_fork child_exit nworkers_changed pre_exec worker_int worker_abort worker_exit
    pre_request post_request on_exit
];

/// See the module.
#[derive(Debug)]
pub struct Details {
    /// What it was built against.
    pub stamp: AbiStamp,
    /// Its own number; that of the server may be another.
    pub modifier1: u8,
    /// The hooks that it has, in the order of the struct.
    pub hooks: Vec<&'static str>,
    /// Functions and variables that others have to bring.
    pub imports: Vec<String>,
    /// Libraries that it is linked to.
    pub libraries: Vec<String>,
    /// It was written with the SDK for Rust.
    pub is_rust: bool,
}

impl PluginFile {
    /// Reads and judges a file, and looks closer.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn inspect(path: &Path) -> Result<(Self, Details), LoadError> {
        let data = Mapped::open(path).map_err(|e| LoadError::unreadable(path, &e))?;
        let plugin = Self::judge(path, &data)?;
        let image = Image::parse(path, &data)?;
        let address = image.entry(path)?.address;
        let hooks = HOOKS.iter().filter(|(_, offset)| {
            let field = address.checked_add(*offset as u64);
            *offset < plugin.struct_size && field.is_some_and(|field| image.pointer(field).is_some())
        });
        let modifier1 = address.checked_add(offset_of!(UwsgiPlugin, modifier1) as u64);
        let modifier1 = modifier1.and_then(|at| image.bytes(at, 1)).map_or(0, |b| b[0]);
        let details = Details {
            stamp: image.stamp(path)?,
            modifier1,
            hooks: hooks.map(|(name, _)| *name).collect(),
            imports: image.imports(),
            libraries: image.libraries(),
            is_rust: image.defines(rsgi_plugin_api::layout::SYMBOL),
        };
        Ok((plugin, details))
    }
}

impl Image<'_> {
    fn imports(&self) -> Vec<String> {
        let wanted = self.file.dynamic_symbols().filter(|s| s.is_undefined() && !s.is_weak());
        let mut names: Vec<String> = wanted.filter_map(|s| s.name().ok().map(str::to_owned)).collect();
        names.retain(|name| !name.is_empty());
        names.sort();
        names
    }

    fn defines(&self, name: &str) -> bool {
        let mut symbols = self.file.dynamic_symbols();
        symbols.any(|s| s.is_definition() && s.name() == Ok(name))
    }

    fn libraries(&self) -> Vec<String> {
        let endian = self.file.endian();
        let rows = self.segments().filter_map(|s| s.dynamic(endian, self.data).ok()?);
        let rows: Vec<_> = rows
            .flatten()
            .map(|row| (row.d_tag(endian), row.d_val(endian)))
            .collect();
        let value = |tag| rows.iter().find(|(t, _)| *t == tag).map(|(_, value)| *value);
        let Some(texts) = value(elf::DT_STRTAB) else {
            return Vec::new();
        };
        let names = rows.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED);
        names.filter_map(|(_, at)| self.text(texts.checked_add(*at)?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hook_is_missing() {
        // name, alias, modifier1, data and options are no hooks
        assert_eq!(HOOKS.len(), size_of::<UwsgiPlugin>() / 8 - 5);
        let mut places: Vec<usize> = HOOKS.iter().map(|(_, at)| *at).collect();
        assert!(places.is_sorted());
        places.dedup();
        assert_eq!(places.len(), HOOKS.len());
    }
}
