//! Options of uWSGI that rsgi does not have: named with the reason and what to use instead, never ignored.

/// Why a group of options is refused.
pub struct Refusal {
    /// What rsgi does not have.
    pub reason: &'static str,
    /// What to do.
    pub instead: &'static str,
    /// The names, with spaces.
    names: &'static str,
}

/// Every group with its names.
pub fn all() -> impl Iterator<Item = (impl Iterator<Item = &'static str>, &'static Refusal)> {
    REFUSED.iter().map(|group| (group.names.split_whitespace(), group))
}

/// The group of a name.
pub fn find(name: &str) -> Option<&'static Refusal> {
    REFUSED
        .iter()
        .find(|group| group.names.split_whitespace().any(|known| known == name))
}

static REFUSED: &[Refusal] = &[
    Refusal {
        reason: "the average of an idle worker stays what it was last",
        instead: "leave it out",
        names: "carbon-idle-avg",
    },
    Refusal {
        reason: "jails, copies of namespaces and second processes are made from outside",
        instead: "use systemd, a container, or unshare, setns, cgroup and chroot",
        names: "jail jail-attach jail-ip4 jail-ip6 jail2 jailed jid-file jidfile libjail namespace \
                namespace-keep-mount namespace-net ns ns-net privileged-binary-patch privileged-binary-patch-arg \
                re-fork re-fork-as-root re-fork-post-jail refork refork-as-root refork-post-jail setns-preopen \
                setns-skip setns-socket setns-socket-skip unprivileged-binary-patch unprivileged-binary-patch-arg",
    },
    Refusal {
        reason: "alarms of this kind are not in rsgi",
        instead: "use alarm and alarm-log",
        names: "alarm-cheap alarm-fd alarm-list alarms-list",
    },
    Refusal {
        reason: "applications of single workers are not in rsgi",
        instead: "use mount",
        names: "worker-mount",
    },
    Refusal {
        reason: "this part of the async is not in rsgi",
        instead: "use threads",
        names: "disable-async-warn-on-queue-full",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin gevent, which rsgi does not have",
        instead: "use threads",
        names: "gevent-wait-for-hub",
    },
    Refusal {
        reason: "this part of the caches is not in rsgi",
        instead: "use cache2",
        names: "cache-sync cache-udp-node cache-udp-server check-cache load-file-in-cache-gzip",
    },
    Refusal {
        reason: "this way to change a configuration is not in rsgi",
        instead: "use include, inherit and if-env",
        names: "blacklist end-blacklist end-whitelist exit force-gateway fork-server fork-socket resolve whitelist",
    },
    Refusal {
        reason: "this action is not in rsgi",
        instead: "use exec-asap",
        names: "file-write",
    },
    Refusal {
        reason: "this part of the emperor is not in rsgi",
        instead: "use one service of the system for each instance",
        names: "early-emperor emperor-broodlord emperor-cap emperor-chdir-attr emperor-collect-attr \
                emperor-collect-attribute emperor-command-socket emperor-fork-server-attr emperor-proxy-socket \
                emperor-subreaper emperor-trigger-socket emperor-use-clone emperor-use-fork-server \
                emperor-wait-for-command emperor-wait-for-command-ignore emperor-wrapper-attr vassal-cap \
                vassal-fork-base vassal-sos vassal-sos-backlog vassals-cap zeus",
    },
    Refusal {
        reason: "this way to set the environment is not in rsgi",
        instead: "use env or envdir",
        names: "early-envdir ienv",
    },
    Refusal {
        reason: "the depth of backtraces cannot be set",
        instead: "leave it out",
        names: "backtrace-depth",
    },
    Refusal {
        reason: "this phase or action is not in rsgi",
        instead: "use hook-as-root, hook-as-user, hook-pre-app or hook-post-app",
        names: "hook-as-emperor-setns hook-as-on-config-vassal",
    },
    Refusal {
        reason: "legions are not in rsgi",
        instead: "let the orchestrator or keepalived choose the leader",
        names: "cron-legion legion legion-attach-daemon legion-cron legion-death legion-death-on-lord-error legion-freq \
                legion-join legion-lord legion-mcast legion-node legion-node-joined legion-node-left legion-quorum \
                legion-scroll legion-scroll-list-max-size legion-scroll-max-size legion-setup legion-skew-tolerance \
                legion-smart-attach-daemon legion-smart-attach-daemon2 legion-tolerance legion-unlord unique-cron-legion \
                unique-legion-cron",
    },
    Refusal {
        reason: "file locks at the start are not in rsgi",
        instead: "run (1) around the command",
        names: "flock-wait2 flock2",
    },
    Refusal {
        reason: "the size of a mule's message cannot be set here",
        instead: "use mule-msg-size",
        names: "mule-msg-recv-size",
    },
    Refusal {
        reason: "profilers are not in rsgi",
        instead: "use py-spy or perf",
        names: "profiler",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin fastrouter, which rsgi does not have",
        instead: "use http or a front server",
        names: "fastrouter fastrouter-buffer-size fastrouter-cheap fastrouter-defer-connect-timeout \
                fastrouter-emperor-socket fastrouter-events fastrouter-fallback fastrouter-fallback-on-no-key \
                fastrouter-force-key fastrouter-gid fastrouter-gracetime fastrouter-harakiri fastrouter-max-retries \
                fastrouter-post-buffering fastrouter-post-buffering-dir fastrouter-processes fastrouter-quiet \
                fastrouter-resubscribe fastrouter-resubscribe-bind fastrouter-ss fastrouter-stats fastrouter-stats-server \
                fastrouter-subscription-fallback-key fastrouter-subscription-server fastrouter-subscription-slot \
                fastrouter-timeout fastrouter-to fastrouter-uid fastrouter-use-base fastrouter-use-cache \
                fastrouter-use-code-string fastrouter-use-pattern fastrouter-use-socket fastrouter-workers fastrouter-zerg",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin rawrouter, which rsgi does not have",
        instead: "use a TCP proxy",
        names: "rawrouter rawrouter-buffer-size rawrouter-cheap rawrouter-events rawrouter-fallback rawrouter-gracetime \
                rawrouter-harakiri rawrouter-max-retries rawrouter-processes rawrouter-quiet rawrouter-ss rawrouter-stats \
                rawrouter-stats-server rawrouter-subscription-server rawrouter-subscription-slot rawrouter-timeout \
                rawrouter-to rawrouter-use-base rawrouter-use-cache rawrouter-use-code-string rawrouter-use-pattern \
                rawrouter-use-socket rawrouter-workers rawrouter-xclient rawrouter-zerg",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin sslrouter, which rsgi does not have",
        instead: "use http or a TLS proxy",
        names: "sslrouter sslrouter-buffer-size sslrouter-cheap sslrouter-events sslrouter-fallback sslrouter-gracetime \
                sslrouter-harakiri sslrouter-max-retries sslrouter-processes sslrouter-quiet sslrouter-session-context \
                sslrouter-sni sslrouter-ss sslrouter-stats sslrouter-stats-server sslrouter-subscription-server \
                sslrouter-timeout sslrouter-to sslrouter-use-base sslrouter-use-cache sslrouter-use-code-string \
                sslrouter-use-pattern sslrouter-use-socket sslrouter-workers sslrouter-zerg sslrouter2",
    },
    Refusal {
        reason: "this part of process control is not in rsgi",
        instead: "leave it out",
        names: "clock-list clocks-list zerg-fallback",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin zergpool, which rsgi does not have",
        instead: "use reuse-port",
        names: "zerg-pool zergpool",
    },
    Refusal {
        reason: "this limit or trigger is not in rsgi",
        instead: "use reload-on-rss, max-requests or touch-reload",
        names: "brutal-reload-on-fd check-mount check-mountpoint mount-check mountpoint-check propagate-touch reload-on-fd",
    },
    Refusal {
        reason: "the list of routers is not in rsgi",
        instead: "leave it out",
        names: "router-list routers-list",
    },
    Refusal {
        reason: "SNMP and UDP servers are not in rsgi",
        instead: "use stats",
        names: "snmp snmp-community udp",
    },
    Refusal {
        reason: "this kind of socket is not in rsgi",
        instead: "use socket or http-socket",
        names: "multicast multicast-loop multicast-ttl no-fd-passing ssl-socket suwsgi-socket \
                tcp-fast-open-client tcp-fastopen-client",
    },
    Refusal {
        reason: "this part of static files is not in rsgi",
        instead: "use static-map, static-expires and static-gzip",
        names: "static-expires-mtime static-expires-path-info static-expires-path-info-mtime static-expires-type-mtime \
                static-expires-uri-mtime static-gzip-dir static-gzip-ext static-gzip-prefix static-gzip-suffix",
    },
    Refusal {
        reason: "this part of subscriptions is not in rsgi",
        instead: "list the instances in the front server",
        names: "start-unsubscribed subscription-algo \
                subscription-clear-on-shutdown subscription-dotsplit subscription-mountpoint subscription-mountpoints \
                subscription-notify-socket subscription-tolerance-inactive \
                subscription-vassal-required subscriptions-credentials-check subscriptions-sign-check \
                subscriptions-sign-check-tolerance subscriptions-sign-skip-uid subscriptions-use-credentials",
    },
    Refusal {
        reason: "this part of TLS is not in rsgi",
        instead: "use https, sni and sni-dir, or a front server",
        names: "sni-dir-ciphers sni-regexp ssl-enable-sslv3 ssl-enable-tlsv1 ssl-enable3 ssl-option \
                ssl-session-timeout ssl-session-use-cache ssl-sessions-timeout ssl-tmp-dir ssl-verbose ssl-verify-depth",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin coroae, which rsgi does not have",
        instead: "use threads",
        names: "coroae",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin fiber, which rsgi does not have",
        instead: "use threads",
        names: "fiber",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin rbthreads, which rsgi does not have",
        instead: "use threads",
        names: "rb-thread rb-threads rbthread rbthreads",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin stackless, which rsgi does not have",
        instead: "use threads",
        names: "stackless",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin tornado, which rsgi does not have",
        instead: "use asyncio in the application",
        names: "tornado",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin ugreen, which rsgi does not have",
        instead: "use threads",
        names: "ugreen ugreen-stacksize",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin forkptyrouter, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "forkpty-router forkpty-router-cmd forkpty-router-command forkpty-urouter forkptyrouter forkptyrouter-cheap \
                forkptyrouter-cmd forkptyrouter-cols forkptyrouter-command forkptyrouter-events forkptyrouter-fallback \
                forkptyrouter-harakiri forkptyrouter-processes forkptyrouter-rows forkptyrouter-ss forkptyrouter-stats \
                forkptyrouter-stats-server forkptyrouter-timeout forkptyrouter-workers forkptyrouter-zerg forkptyurouter",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin ldap, which rsgi does not have",
        instead: "use a file or exec://",
        names: "ldap ldap-schema ldap-schema-ldif",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin sqlite3, which rsgi does not have",
        instead: "use a file or exec://",
        names: "sqlite sqlite3",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin curl_cron, which rsgi does not have",
        instead: "use cron with curl",
        names: "cron-curl cron-curl-legion curl-cron curl-cron-legion legion-cron-curl legion-curl-cron",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin logzmq, which rsgi does not have",
        instead: "use logger",
        names: "log-zeromq",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin notfound, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "notfound-log",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin cgi, which rsgi does not have",
        instead: "use a server with CGI",
        names: "cgi cgi-allowed-ext cgi-async-max-attempts cgi-buffer-size cgi-close-stdin-on-eof cgi-do-not-kill-on-error \
                cgi-dontresolve cgi-from-docroot cgi-helper cgi-index cgi-loadlib cgi-map-helper cgi-optimize cgi-optimized \
                cgi-path-info cgi-safe cgi-timeout cgi-unset",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin ring, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "clojure-load ring-app ring-load",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin dumbloop, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "dumbloop-code dumbloop-function dumbloop-modifier1",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin psgi, which rsgi does not have",
        instead: "use a Perl server",
        names: "early-perl early-perl-exec early-psgi perl-arg perl-args perl-auto-reload perl-auto-reload-ignore perl-exec \
                perl-exec-post-fork perl-local-lib perl-no-die-catch perl-no-plack perl-version plshell plshell-oneshot psgi \
                psgi-enable-psgix-io",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin php, which rsgi does not have",
        instead: "use php-fpm",
        names: "early-php early-php-sapi-name php-allowed-docroot php-allowed-ext php-allowed-script php-app php-app-bypass \
                php-app-qs php-config php-config-append php-constant php-docroot php-dump-config php-exec-after \
                php-exec-before php-exec-begin php-exec-end php-fallback php-fallback-qs php-fallback2 php-index php-ini \
                php-ini-append php-mount php-sapi-name php-server-software php-set php-var",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin gccgo, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "gccgo-args gccgo-load go-args go-load goroutines",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin rack, which rsgi does not have",
        instead: "use a Ruby server",
        names: "gemset rack rails rb-gc-freq rb-lib rb-require rbrequire rbshell rbshell-oneshot require ruby-gc-freq \
                ruby-lib ruby-require rubyrequire rvm rvm-path shared-rb-require shared-rbrequire shared-require \
                shared-ruby-require shared-rubyrequire",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin geoip, which rsgi does not have",
        instead: "let the front server look it up",
        names: "geoip-city geoip-country geoip-use-disk",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin glusterfs, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "glusterfs-mount glusterfs-timeout",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin gridfs, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "gridfs-debug gridfs-mount",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin jvm, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "jvm-class jvm-classpath jvm-main-class jvm-opt",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin jwsgi, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "jwsgi",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin mono, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "mono-app mono-assembly mono-config mono-exec mono-gc-freq mono-index mono-key mono-version",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin pty, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "pty-connect pty-exec pty-input pty-log pty-no-isig pty-socket pty-uconnect",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin pypy, which rsgi does not have",
        instead: "use the python plugin",
        names: "pypy-eval pypy-eval-post-fork pypy-exec pypy-exec-post-fork pypy-home pypy-ini-paste pypy-lib pypy-paste \
                pypy-pp pypy-python-path pypy-pythonpath pypy-setup pypy-wsgi pypy-wsgi-file",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin rados, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "rados-mount rados-timeout",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin symcall, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "symcall symcall-post-fork symcall-register-rpc symcall-use-next",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin v8, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "v8-gc-freq v8-jsgi v8-load v8-module-path v8-preemptive",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin webdav, which rsgi does not have",
        instead: "use a server with WebDAV",
        names: "webdav-add-collection-prop webdav-add-collection-prop-comp webdav-add-collection-prop-href \
                webdav-add-object-prop webdav-add-object-prop-comp webdav-add-object-prop-href webdav-add-option \
                webdav-add-prop webdav-add-prop-comp webdav-add-prop-href webdav-add-rtype-collection-prop \
                webdav-add-rtype-object-prop webdav-add-rtype-prop webdav-class-directory webdav-css webdav-div \
                webdav-javascript webdav-js webdav-lock-cache webdav-mount webdav-principal-base webdav-skip-prop",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin xslt, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "xslt-content-type xslt-docroot xslt-ext xslt-stylesheet xslt-var",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin tuntap, which rsgi does not have",
        instead: "use a container network",
        names: "tuntap-device tuntap-device-rule tuntap-router tuntap-router-firewall-in tuntap-router-firewall-out \
                tuntap-router-route tuntap-router-stats tuntap-use-credentials",
    },
    Refusal {
        reason: "this tool for builds is not in rsgi",
        instead: "use uwsgiconfig",
        names: "binary-append-data print-sym print-symbol",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin pam, which rsgi does not have",
        instead: "write a plugin, or run uWSGI for it",
        names: "pam pam-user",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin mongrel2, which rsgi does not have",
        instead: "use http",
        names: "mongrel2 zeromq zeromq-socket zmq zmq-socket",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin nagios, which rsgi does not have",
        instead: "use stats and a check",
        names: "nagios",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin rrdtool, which rsgi does not have",
        instead: "use stats and a collector",
        names: "rrdtool rrdtool-freq rrdtool-lib",
    },
    Refusal {
        reason: "this protocol between server and application is gone from Python 3",
        instead: "use module or wsgi-file with a WSGI application",
        names: "pump web3 wsgi-lite",
    },
    Refusal {
        reason: "it belongs to uWSGI's plugin zabbix, which rsgi does not have",
        instead: "use stats and a collector",
        names: "zabbix-template",
    },
];

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn refused_names_have_a_reason() {
        assert!(find("legion").unwrap().reason.contains("legions"));
        assert!(find("php-ini").unwrap().instead.contains("php-fpm"));
        assert!(find("master").is_none() && find("").is_none());
    }
}
