//! What a plugin file says of itself, read from the file with nothing executed: its stamp, its entry symbol, what it
//! requires, and its table of options. That is how a foreign file is refused before its constructors run, and how
//! the host knows whose option `--wsgi-file` is without loading every plugin.

mod details;

pub use details::Details;

use super::loader::LoadError;
use super::mapped::Mapped;
use object::elf::FileHeader64;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget, SymbolIndex, elf};
use rsgi_plugin_api::abi::{AbiStamp, NOTE_NAME, UwsgiOption, UwsgiPlugin};
use std::collections::HashMap;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

/// One row of an option table as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticOption {
    /// The name without dashes.
    pub name: String,
    /// `no_argument`, `required_argument` or `optional_argument` of `<getopt.h>`.
    pub kind: i32,
    /// A letter, or 0.
    pub shortcut: i32,
    /// The help text.
    pub help: String,
    /// `UWSGI_OPT_*`.
    pub flags: u64,
}

/// A plugin file that may be loaded.
#[derive(Debug)]
pub struct PluginFile {
    /// Where it is.
    pub path: PathBuf,
    /// The symbol of its `struct uwsgi_plugin`.
    pub entry: String,
    /// The name in that struct, when it is a constant.
    pub name: Option<String>,
    /// Its options, when the table is constant.
    pub options: Vec<StaticOption>,
    /// Plugins that it needs (`requires=` lines).
    pub requires: Vec<String>,
    /// Whether the host may write `modifier1` into the plugin's own struct.
    pub writable: bool,
    /// How many bytes of its struct there are to be read: what the stamp says, but never beyond the symbol.
    pub struct_size: usize,
}

impl PluginFile {
    /// Reads and judges a file.
    ///
    /// # Errors
    /// Not a plugin of this ABI: see [`LoadError`].
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let data = Mapped::open(path).map_err(|e| LoadError::unreadable(path, &e))?;
        Self::judge(path, &data)
    }

    /// Reads a file that had another name when it was made.
    ///
    /// # Errors
    /// As [`PluginFile::read`].
    pub fn read_as(path: &Path, name: &Path) -> Result<Self, LoadError> {
        let data = Mapped::open(path).map_err(|e| LoadError::unreadable(path, &e))?;
        let file = Self::judge(name, &data)?;
        Ok(Self {
            path: path.to_path_buf(),
            ..file
        })
    }

    /// Judges the bytes of a file, whatever they are.
    fn judge(path: &Path, data: &[u8]) -> Result<Self, LoadError> {
        let image = Image::parse(path, data)?;
        let stamp = image.stamp(path)?;
        let entry = image.entry(path)?;
        let claimed = u64::from(stamp.plugin_size);
        let struct_size = match entry.size {
            0 => claimed,
            size => claimed.min(size),
        };
        let (name, options) = image.plugin(entry.address, struct_size);
        Ok(Self {
            path: path.to_path_buf(),
            writable: image.is_writable(entry.address),
            entry: entry.name,
            name,
            options,
            requires: image.requires(),
            struct_size: struct_size as usize,
        })
    }
}

struct Entry {
    name: String,
    address: u64,
    size: u64,
}

struct Image<'d> {
    file: ElfFile64<'d, Endianness>,
    data: &'d [u8],
    /// What the dynamic linker will write, relative to the load address: address and value, by address. There are tens of
    /// thousands, of which a few are looked up.
    pointers: Vec<(u64, u64)>,
}

impl<'d> Image<'d> {
    fn parse(path: &Path, data: &'d [u8]) -> Result<Self, LoadError> {
        if !data.starts_with(&elf::ELFMAG) {
            return Err(LoadError::NotElf { path: path.into() });
        }
        let wrong = || LoadError::WrongMachine { path: path.into() };
        let file = ElfFile64::<Endianness>::parse(data).map_err(|_| wrong())?;
        let header = file.elf_header();
        if header.e_type(file.endian()) != elf::ET_DYN || header.e_machine(file.endian()) != machine() {
            return Err(wrong());
        }
        let pointers = pointers(&file);
        Ok(Self { file, data, pointers })
    }

    fn segments(&self) -> impl Iterator<Item = &'d <FileHeader64<Endianness> as FileHeader>::ProgramHeader> {
        self.file.elf_program_headers().iter()
    }

    /// All notes of owner "uWSGI"; they must agree.
    fn stamp(&self, path: &Path) -> Result<AbiStamp, LoadError> {
        let endian = self.file.endian();
        let mut found: Option<AbiStamp> = None;
        for segment in self.segments() {
            let Ok(Some(mut notes)) = segment.notes(endian, self.data) else {
                continue;
            };
            while let Ok(Some(note)) = notes.next() {
                if note.name() != NOTE_NAME || note.n_type(endian) != elf::NoteType(1) {
                    continue;
                }
                let words: Vec<u32> = note
                    .desc()
                    .chunks_exact(4)
                    .map(|w| u32::from_ne_bytes([w[0], w[1], w[2], w[3]]))
                    .collect();
                let [major, minor, plugin_size, server_size] = words[..] else {
                    continue;
                };
                let stamp = AbiStamp {
                    major,
                    minor,
                    plugin_size,
                    server_size,
                };
                if found.is_some_and(|f| f != stamp) {
                    return Err(LoadError::MixedStamps { path: path.into() });
                }
                found = Some(stamp);
            }
        }
        let stamp = found.ok_or_else(|| LoadError::NoStamp { path: path.into() })?;
        if stamp.major != AbiStamp::CURRENT.major {
            return Err(LoadError::WrongMajor {
                path: path.into(),
                found: stamp.major,
            });
        }
        Ok(stamp)
    }

    /// `<stem>`, `<stem>_plugin`, both also without `lib` and with `_` for `-`; else the only `*_plugin` object.
    fn entry(&self, path: &Path) -> Result<Entry, LoadError> {
        let objects: HashMap<&str, (u64, u64)> = self
            .file
            .dynamic_symbols()
            .filter(|s| s.is_definition() && s.kind() == object::SymbolKind::Data)
            .filter_map(|s| Some((s.name().ok()?, (s.address(), s.size()))))
            .collect();
        for name in entry_names(path) {
            if let Some(&(address, size)) = objects.get(name.as_str()) {
                return Ok(Entry { name, address, size });
            }
        }
        let mut others = objects.iter().filter(|(n, _)| n.ends_with("_plugin"));
        match (others.next(), others.next()) {
            (Some((name, &(address, size))), None) => Ok(Entry {
                name: (*name).into(),
                address,
                size,
            }),
            (None, _) => Err(LoadError::NoEntry {
                path: path.into(),
                wanted: entry_names(path),
            }),
            _ => Err(LoadError::ManyEntries { path: path.into() }),
        }
    }

    /// Name and options of the plugin struct at an address; what is not constant, or beyond its size, stays empty.
    fn plugin(&self, address: u64, size: u64) -> (Option<String>, Vec<StaticOption>) {
        let at = |offset: usize| {
            let field = address.checked_add(offset as u64).filter(|_| (offset as u64) < size)?;
            self.pointer(field)
        };
        let name = at(offset_of!(UwsgiPlugin, name)).and_then(|p| self.text(p));
        let options = at(offset_of!(UwsgiPlugin, options))
            .map(|table| self.options(table))
            .unwrap_or_default();
        (name, options)
    }

    /// What stands at an address once the file is loaded.
    fn pointer(&self, address: u64) -> Option<u64> {
        let at = self.pointers.binary_search_by_key(&address, |(at, _)| *at).ok()?;
        Some(self.pointers[at].1)
    }

    fn options(&self, table: u64) -> Vec<StaticOption> {
        let mut rows = Vec::new();
        let mut row = table;
        while let Some(name) = self.pointer(row).and_then(|p| self.text(p)) {
            let field = |offset: usize| row.wrapping_add(offset as u64);
            rows.push(StaticOption {
                name,
                kind: self.word(field(offset_of!(UwsgiOption, kind))),
                shortcut: self.word(field(offset_of!(UwsgiOption, shortcut))),
                help: self
                    .pointer(field(offset_of!(UwsgiOption, help)))
                    .and_then(|p| self.text(p))
                    .unwrap_or_default(),
                flags: self
                    .bytes(field(offset_of!(UwsgiOption, flags)), 8)
                    .and_then(|b| b.try_into().ok())
                    .map_or(0, u64::from_ne_bytes),
            });
            let Some(next) = row.checked_add(size_of::<UwsgiOption>() as u64) else {
                break;
            };
            row = next;
        }
        rows
    }

    /// The bytes that an address has in the file.
    fn bytes(&self, address: u64, len: usize) -> Option<&'d [u8]> {
        let from = self.tail(address)?;
        from.get(..len)
    }

    /// Everything from an address to the end of its segment.
    fn tail(&self, address: u64) -> Option<&'d [u8]> {
        let endian = self.file.endian();
        self.segments()
            .filter(|s| s.p_type(endian) == elf::PT_LOAD)
            .find_map(|s| {
                let inside = address.checked_sub(s.p_vaddr(endian))?;
                if inside >= s.p_filesz(endian) {
                    return None;
                }
                let place = |from_start| s.p_offset(endian).checked_add(from_start)?.try_into().ok();
                let (start, end): (usize, usize) = (place(inside)?, place(s.p_filesz(endian))?);
                self.data.get(start..end)
            })
    }

    fn word(&self, address: u64) -> i32 {
        self.bytes(address, 4)
            .and_then(|b| b.try_into().ok())
            .map_or(0, i32::from_ne_bytes)
    }

    fn text(&self, address: u64) -> Option<String> {
        let tail = self.tail(address)?;
        let end = tail.iter().take(4096).position(|b| *b == 0)?;
        Some(String::from_utf8_lossy(&tail[..end]).into_owned())
    }

    /// In a writable segment, and not in the part that becomes read-only after relocation.
    fn is_writable(&self, address: u64) -> bool {
        let endian = self.file.endian();
        let covers = |kind: elf::ProgramType| {
            self.segments().any(|s| {
                s.p_type(endian) == kind
                    && (kind != elf::PT_LOAD || s.p_flags(endian) & elf::PF_W == elf::PF_W)
                    && address
                        .checked_sub(s.p_vaddr(endian))
                        .is_some_and(|inside| inside < s.p_memsz(endian))
            })
        };
        covers(elf::PT_LOAD) && !covers(elf::PT_GNU_RELRO)
    }

    /// `requires=NAME` lines of the section `uwsgi`.
    fn requires(&self) -> Vec<String> {
        let Some(Ok(text)) = self.file.section_by_name("uwsgi").map(|s| s.data()) else {
            return Vec::new();
        };
        String::from_utf8_lossy(text)
            .lines()
            .filter_map(|l| l.trim_matches(['\0', ' ']).strip_prefix("requires="))
            .map(str::to_owned)
            .collect()
    }
}

/// The pointers that relocation will write: address and (unslid) target, by address.
fn pointers(file: &ElfFile64<'_, Endianness>) -> Vec<(u64, u64)> {
    let symbols = file.dynamic_symbol_table();
    let symbol = |index: SymbolIndex| {
        let symbol = symbols.as_ref()?.symbol_by_index(index).ok()?;
        symbol.is_definition().then(|| symbol.address())
    };
    let relocations = file.dynamic_relocations().into_iter().flatten();
    let mut pointers: Vec<(u64, u64)> = relocations
        .filter_map(|(at, relocation)| {
            let base = match relocation.target() {
                RelocationTarget::Absolute => 0,
                RelocationTarget::Symbol(index) => symbol(index)?,
                _ => return None,
            };
            Some((at, base.wrapping_add_signed(relocation.addend())))
        })
        .collect();
    // linkers mostly leave them in runs
    pointers.sort();
    pointers
}

const fn machine() -> elf::Machine {
    if cfg!(target_arch = "aarch64") {
        elf::EM_AARCH64
    } else {
        elf::EM_X86_64
    }
}

/// The names that the entry symbol of a file may have.
pub fn entry_names(path: &Path) -> Vec<String> {
    let real = std::fs::canonicalize(path).ok();
    let mut names = Vec::new();
    for file in [Some(path), real.as_deref()].into_iter().flatten() {
        let Some(stem) = file.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        let stem = stem.split(".so").next().unwrap_or(stem);
        for stem in [stem, stem.strip_prefix("lib").unwrap_or(stem)] {
            for name in [stem.to_owned(), format!("{stem}_plugin")] {
                for name in [name.replace('-', "_"), name] {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_names_follow_the_file() {
        assert_eq!(
            entry_names(Path::new("/nowhere/foobar.so")),
            ["foobar", "foobar_plugin"]
        );
        assert_eq!(
            entry_names(Path::new("libpython_plugin.so")),
            [
                "libpython_plugin",
                "libpython_plugin_plugin",
                "python_plugin",
                "python_plugin_plugin"
            ]
        );
        assert!(entry_names(Path::new("router-mkdir_plugin.so")).contains(&"router_mkdir_plugin".into()));
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        let dir = std::env::temp_dir().join(format!("rsgi-elf-{}", std::process::id()));
        std::fs::write(&dir, "not a plugin").unwrap();
        let refused = PluginFile::read(&dir).unwrap_err().to_string();
        std::fs::remove_file(&dir).unwrap();
        assert!(refused.contains("not an ELF file"), "{refused}");
    }

    /// A real plugin with options and a requirement, built once.
    fn plugin() -> &'static [u8] {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        BYTES.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("broken");
            std::fs::create_dir(&folder).unwrap();
            let script = "NAME='broken'\nGCC_LIST=['broken']\nREQUIRES=['other']\n";
            std::fs::write(folder.join("uwsgiplugin.py"), script).unwrap();
            let source = "#include <uwsgi.h>\nstatic char *text;\n\
                static struct uwsgi_option options[] = {\n\
                { \"broken-text\", required_argument, 'b', \"a text\", uwsgi_opt_set_str, &text, UWSGI_OPT_MASTER },\n\
                { \"broken-flag\", no_argument, 0, \"a flag\", uwsgi_opt_true, &text, 0 },\n\
                UWSGI_END_OF_OPTIONS };\n\
                struct uwsgi_plugin broken_plugin = { .name = \"broken\", .options = options };\n";
            std::fs::write(folder.join("broken.c"), source).unwrap();
            let file = uwsgiconfig::build(&folder, None, dir.path()).unwrap();
            std::fs::read(file).unwrap()
        })
    }

    #[test]
    fn everything_is_read_without_loading() {
        let file = PluginFile::judge(Path::new("broken_plugin.so"), plugin()).unwrap();
        assert_eq!(file.name.as_deref(), Some("broken"));
        assert_eq!(file.requires, ["other"]);
        assert!(file.writable);
        assert_eq!(file.struct_size, size_of::<UwsgiPlugin>());
        let names: Vec<&str> = file.options.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["broken-text", "broken-flag"]);
        assert_eq!((file.options[0].shortcut, file.options[0].flags), (i32::from(b'b'), 2));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]

        /// Numbers that a file holds may be anything: it is taken or refused, never worse.
        #[test]
        fn a_damaged_file_is_taken_or_refused(
            edits in proptest::collection::vec(
                (
                    proptest::prelude::any::<proptest::sample::Index>(),
                    0..3u8,
                    proptest::sample::select(vec![0, 1, 7, 0xffff, i64::MAX as u64, u64::MAX, u64::MAX - 7, 1 << 63]),
                ),
                1..6,
            ),
            cut in proptest::option::weighted(0.1, proptest::prelude::any::<proptest::sample::Index>()),
        ) {
            let mut data = plugin().to_vec();
            // the ELF header and the program headers; the section headers at the end; anywhere
            let end = data.len() - 8;
            for (index, place, value) in edits {
                let at = match place {
                    0 => index.index(800),
                    1 => end - index.index(2600),
                    _ => index.index(end),
                };
                data[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            }
            if let Some(cut) = cut {
                data.truncate(cut.index(data.len()));
            }
            let _ = PluginFile::judge(Path::new("broken_plugin.so"), &data);
        }
    }

    #[test]
    fn a_program_without_stamp_is_refused() {
        let own = std::env::current_exe().unwrap();
        let refused = PluginFile::read(&own).unwrap_err();
        assert!(matches!(refused, LoadError::NoStamp { .. }), "{refused}");
    }
}
