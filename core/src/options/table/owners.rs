//! Options of the plugins that come with rsgi, by name: what a configuration asks for is known even where the plugin
//! is not installed or has not got the option yet. The plugin's own table counts where it is at hand.

use crate::options::spec::ArgKind;

/// A plugin that comes with rsgi.
struct Owner {
    plugin: &'static str,
    /// With spaces; `=` behind a name: takes a value, `?`: may take one.
    names: &'static str,
}

/// The option of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// Its plugin.
    pub plugin: &'static str,
    /// Without dashes.
    pub name: &'static str,
    /// Whether a value follows.
    pub arg: ArgKind,
    /// One letter.
    pub short: Option<char>,
}

/// The letters that stand on command lines for options of plugins.
const LETTERS: [(&str, char); 3] = [("module", 'w'), ("virtualenv", 'H'), ("optimize", 'O')];

/// All of them.
pub fn all() -> impl Iterator<Item = Owned> {
    OWNERS.iter().flat_map(|owner| {
        owner.names.split_whitespace().map(|marked| {
            let name = marked.trim_end_matches(['=', '?']);
            let arg = match &marked[name.len()..] {
                "=" => ArgKind::Required,
                "?" => ArgKind::Optional,
                _ => ArgKind::No,
            };
            Owned {
                plugin: owner.plugin,
                name,
                arg,
                short: LETTERS
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, letter)| *letter),
            }
        })
    })
}

/// The plugin's option of this name.
pub fn find(name: &str) -> Option<Owned> {
    all().find(|owned| owned.name == name)
}

static OWNERS: &[Owner] = &[
    Owner {
        plugin: "http",
        names: "http= http-auto-chunked http-auto-gzip http-backend-http http-buffer-size= http-cheap \
                http-chunked-input http-connect-timeout= http-enable-proxy-protocol? http-events= http-fallback= \
                http-gid= http-gracetime= http-harakiri= http-headers-timeout= http-keepalive? http-manage-expect? \
                http-manage-rtsp http-manage-source http-modifier1= http-modifier2= http-post-buffering= \
                http-post-buffering-dir= http-processes= http-quiet= http-raw-body http-resubscribe= \
                http-server-name-as-http-host= http-ss= http-stats= http-stats-server= http-stud-prefix= \
                http-subscription-fallback-key= http-subscription-server= http-timeout= http-to= http-to-check= http-to-https= \
                http-uid= http-use-base= http-use-cache? http-use-code-string= http-use-pattern= http-use-socket? \
                http-var= http-websockets http-workers= http-zerg= httprouter= https= https-export-cert \
                https-session-context= https-socket= https-socket-modifier1= https-socket-modifier2= https2= no-http2 sni= sni-dir= \
                subscription-tolerance=",
    },
    Owner {
        plugin: "lua",
        names: "lua= lua-gc-freq? lua-gc-full lua-load= lua-postfork-mule= lua-postfork-spooler= lua-postfork-worker= \
                lua-postload= lua-shell lua-shell-oneshot lua-worker-override= luashell luashell-oneshot",
    },
    Owner {
        plugin: "python",
        names: "asgi= asgi-lifespan= asgi-loop= asyncio= callable= early-pyimport= early-python early-python-import= early-python-path= early-pythonpath= \
                eval= file= gevent= gevent-early-monkey-patch gevent-monkey-patch greenlet home= import= ini-paste= ini-paste-logged= module= no-site optimize= paste= \
                paste-logger paste-name= pecan= post-pymodule-alias= pp= py= py-auto-reload= \
                py-auto-reload-ignore= py-autoreload= py-call-osafterfork py-call-uwsgi-fork-hooks py-executable= \
                py-import= py-master-check-signals py-program-name= py-programname= py-sharedarea= \
                py-sys-executable= py-tracebacker= pyargv= pyhome= pyimport= pymodule-alias= pyrun= pyshell? \
                pyshell-oneshot? python= python-auto-reload= python-autoreload= python-import= python-path= \
                python-raw= python-version python-worker-override= pythonpath= reload-os-env shared-import= \
                shared-py-import= shared-pyimport= shared-python-import= spooler-import= spooler-py-import= \
                spooler-pyimport= spooler-python-import= start_response-nodelay test= venv= virtualenv= wsgi= \
                wsgi-accept-buffer wsgi-accept-buffers wsgi-disable-file-wrapper wsgi-env-behavior= \
                wsgi-env-behaviour= wsgi-file= wsgi-manage-chunked-input wsgi-strict",
    },
    Owner {
        plugin: "rsyslog",
        names: "rsyslog-packet-size= rsyslog-split-messages",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::table;

    #[test]
    fn a_name_says_whether_it_takes_a_value() {
        assert_eq!(
            find("wsgi-file").map(|o| (o.plugin, o.arg)),
            Some(("python", ArgKind::Required))
        );
        assert_eq!(find("http-auto-chunked").map(|o| o.arg), Some(ArgKind::No));
        assert_eq!(find("module").and_then(|o| o.short), Some('w'));
        assert_eq!(find("master"), None);
    }

    #[test]
    fn the_core_has_none_of_them() {
        for owned in all() {
            assert!(table::find(owned.name).is_none(), "{}", owned.name);
            assert!(table::refused::find(owned.name).is_none(), "{}", owned.name);
        }
    }
}
