//! `mount` and `umount` as actions of hooks.

use nix::mount::{MntFlags, MsFlags};

/// `TYPE WHAT WHERE [FLAGS]`; a type of `none` or a bind mount has none.
pub(super) fn mount(text: &str) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, what, target, rest @ ..] = words.as_slice() else {
        return Err("write TYPE WHAT WHERE [FLAGS]".into());
    };
    let (flags, data) = flags(rest.first().unwrap_or(&""))?;
    let kind = Some(*kind).filter(|k| *k != "none" && !k.is_empty());
    let data = (!data.is_empty()).then_some(data.as_str());
    nix::mount::mount(Some(*what), *target, kind, flags, data)
        .map_err(|e| format!("mount(): {} (it needs root or CAP_SYS_ADMIN)", e.desc()))
}

/// `WHERE [FLAGS]`
pub(super) fn umount(text: &str) -> Result<(), String> {
    let (target, flags) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let mut meant = MntFlags::empty();
    for flag in flags.split(',').map(str::trim).filter(|f| !f.is_empty()) {
        meant |= match flag {
            "force" => MntFlags::MNT_FORCE,
            "detach" | "lazy" => MntFlags::MNT_DETACH,
            "expire" => MntFlags::MNT_EXPIRE,
            "nofollow" => MntFlags::UMOUNT_NOFOLLOW,
            other => return Err(format!("unknown flag {other:?}: use force, detach, expire, nofollow")),
        };
    }
    nix::mount::umount2(target, meant).map_err(|e| format!("umount(): {}", e.desc()))
}

/// Flags by name; what is no flag is data for the file system.
fn flags(text: &str) -> Result<(MsFlags, String), String> {
    let mut meant = MsFlags::empty();
    let mut data = Vec::new();
    for word in text.split(',').filter(|w| !w.is_empty()) {
        meant |= match word {
            "ro" | "rdonly" => MsFlags::MS_RDONLY,
            "bind" => MsFlags::MS_BIND,
            "rec" => MsFlags::MS_REC,
            "rbind" => MsFlags::MS_BIND | MsFlags::MS_REC,
            "private" => MsFlags::MS_PRIVATE,
            "slave" => MsFlags::MS_SLAVE,
            "shared" => MsFlags::MS_SHARED,
            "unbindable" => MsFlags::MS_UNBINDABLE,
            "move" => MsFlags::MS_MOVE,
            "remount" => MsFlags::MS_REMOUNT,
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            "strictatime" => MsFlags::MS_STRICTATIME,
            "sync" => MsFlags::MS_SYNCHRONOUS,
            "dirsync" => MsFlags::MS_DIRSYNC,
            "mand" => MsFlags::MS_MANDLOCK,
            "silent" => MsFlags::MS_SILENT,
            word if word.contains('=') => {
                data.push(word);
                continue;
            }
            other => return Err(format!("unknown flag {other:?} of mount")),
        };
    }
    Ok((meant, data.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_data_are_told_apart() {
        let (meant, data) = flags("ro,rbind,size=1m,mode=700").unwrap();
        assert_eq!(meant, MsFlags::MS_RDONLY | MsFlags::MS_BIND | MsFlags::MS_REC);
        assert_eq!(data, "size=1m,mode=700");
        assert!(flags("ro,frob").unwrap_err().contains("frob"));
        assert!(umount("/x frob").unwrap_err().contains("frob"));
    }
}
