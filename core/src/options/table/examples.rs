//! Values as people write them, for `--explain` and the manual: each is taken by its option, a test sees to that.

/// The example of an option; a name ending in `*` stands for all that begin so.
pub fn find(name: &str) -> Option<&'static str> {
    let exact = EXAMPLES.iter().find(|(known, _)| *known == name);
    let family = || {
        let mut families = EXAMPLES.iter().filter(|(known, _)| known.ends_with('*'));
        families.find(|(known, _)| name.starts_with(&known[..known.len() - 1]))
    };
    exact.or_else(family).map(|(_, value)| *value)
}

static EXAMPLES: &[(&str, &str)] = &[
    // configuration
    ("ini", "/etc/rsgi/app.ini:production"),
    ("xml", "/etc/rsgi/app.xml"),
    ("yaml", "/etc/rsgi/app.yml"),
    ("json", "/etc/rsgi/app.json"),
    ("toml", "/etc/rsgi/app.toml"),
    ("config", "/etc/rsgi/app.ini"),
    ("include", "/etc/rsgi/common.ini"),
    ("inherit", "/etc/rsgi/template.ini"),
    ("inject-*", "/etc/rsgi/fragment.ini"),
    ("set", "app=shop"),
    ("set-placeholder", "app=shop"),
    ("declare-option", "site=socket=/run/$1.sock;pidfile=/run/$1.pid"),
    ("if-env", "PRODUCTION=1"),
    ("if-not-env", "DEBUG"),
    ("if-opt", "threads=4"),
    ("if-not-opt", "threads"),
    ("if-file", "/etc/rsgi/local.ini"),
    ("if-not-file", "/etc/rsgi/local.ini"),
    ("if-exists", "/run/app"),
    ("if-not-exists", "/run/app"),
    ("if-dir", "/run/app"),
    ("if-not-dir", "/run/app"),
    ("if-hostname-match", "^web[0-9]+$"),
    ("if-not-hostname-match", "^web[0-9]+$"),
    ("if-hostname", "web1"),
    ("if-not-hostname", "web1"),
    ("if-plugin", "python"),
    ("if-not-plugin", "python"),
    ("for", "static media"),
    ("for-glob", "/etc/rsgi/conf.d/*.ini"),
    ("for-times", "4"),
    ("for-readline", "/etc/rsgi/hosts"),
    ("print", "the app is %(app)"),
    ("fallback-config", "/etc/rsgi/safe.ini"),
    ("explain", "harakiri"),
    ("get", "processes"),
    ("help", "socket"),
    ("extract", "exec://hostname"),
    // sockets
    ("socket", "127.0.0.1:3031"),
    ("uwsgi-socket", "/run/app.sock"),
    ("http-socket", ":8080"),
    ("http11-socket", ":8080"),
    ("https-socket", ":8443,/etc/ssl/app.crt,/etc/ssl/app.key"),
    ("fastcgi-socket", "/run/app.sock"),
    ("fastcgi-nph-socket", "/run/app.sock"),
    ("scgi-socket", "/run/app.sock"),
    ("scgi-nph-socket", "/run/app.sock"),
    ("raw-socket", ":3000"),
    ("shared-socket", ":80"),
    ("undeferred-shared-socket", ":80"),
    ("protocol", "http"),
    ("chmod-socket", "660"),
    ("chown-socket", "www-data:www-data"),
    ("umask", "022"),
    ("map-socket", "0:1,2"),
    ("trusted-proxy", "10.0.0.0/8"),
    ("allowed-modifiers", "0,5"),
    ("remap-modifier", "0:5"),
    ("zerg", "/run/zerg.sock"),
    ("zerg-server", "/run/zerg.sock"),
    ("sni", "example.com /etc/ssl/app.crt,/etc/ssl/app.key"),
    ("ssl-sessions-use-cache", "ssl"),
    ("listen", "1024"),
    ("max-fd", "65536"),
    ("safe-fd", "3"),
    // processes
    ("processes", "4"),
    ("threads", "2"),
    ("loop", "gevent"),
    ("gevent", "100"),
    ("asyncio", "100"),
    ("prio", "10"),
    ("procname*", "app"),
    ("worker-exec*", "/usr/bin/php-cgi"),
    ("rpc-max", "128"),
    ("cheaper-algo", "backlog"),
    ("cpu-affinity", "1"),
    // applications and plugins
    ("mount", "/shop=/srv/shop/app.py"),
    ("exception-handler", "log"),
    ("mode", "test"),
    ("plugin", "python,http"),
    ("need-plugin", "python"),
    ("plugins-dir", "/usr/lib/rsgi/plugins"),
    ("dlopen", "/usr/lib/libhelper.so"),
    ("binary-path", "/usr/bin/rsgi"),
    ("build-plugin", "hello.c"),
    // limits and reload
    ("harakiri", "30"),
    ("max-requests", "5000"),
    ("buffer-size", "65536"),
    ("reload-on-rss", "512"),
    ("reload-on-as", "1024"),
    ("reload-on-exception-type", "OperationalError"),
    ("reload-on-exception-value", "server has gone away"),
    ("reload-on-exception-repr", "OperationalError:server has gone away"),
    ("reload-strategy", "rolling"),
    ("touch-exec", "/run/app.touch /usr/bin/logger touched"),
    ("touch-signal", "/run/app.touch 17"),
    ("touch-*", "/run/app.touch"),
    ("fs-signal", "/srv/app 17"),
    ("fs-*", "/srv/app"),
    // logs
    ("logto*", "/var/log/rsgi/app.log"),
    ("daemonize*", "/var/log/rsgi/app.log"),
    ("logger", "file:/var/log/rsgi/app.log"),
    ("req-logger", "file:/var/log/rsgi/requests.log"),
    ("log-route", "errors ERROR"),
    ("log-req-route", "slow /report"),
    ("log-drain", "GET /health"),
    ("log-filter", "ERROR"),
    ("log-encoder", "json {\"message\":\"${msg}\"}"),
    ("log-req-encoder", "prefix [web]"),
    ("log-syslog", "app"),
    ("log-format", "%(addr) \"%(method) %(uri)\" %(status) %(msecs)ms"),
    ("log-date", "%%Y-%%m-%%d %%H:%%M:%%S"),
    ("log-prefix", "app"),
    ("log-backupname", "/var/log/rsgi/app.log.1"),
    ("log-socket", "127.0.0.1:5140"),
    ("logfile-chmod", "640"),
    ("alarm-log", "mail ERROR"),
    ("alarm*", "mail cmd:mail -s alarm root"),
    // directories and environment
    ("chdir*", "/srv/app"),
    ("force-cwd", "/srv/app"),
    ("env", "DJANGO_SETTINGS_MODULE=shop.settings"),
    ("unenv", "LD_PRELOAD"),
    ("envdir", "/etc/rsgi/env"),
    ("pidfile*", "/run/app.pid"),
    ("safe-pidfile*", "/run/app.pid"),
    ("master-fifo", "/run/app.fifo"),
    ("notify-socket", "/run/app.notify"),
    ("wait-for-socket", "127.0.0.1:5432"),
    ("wait-for-fs", "/run/ready"),
    ("wait-for-file", "/run/ready"),
    ("wait-for-dir", "/run/ready"),
    ("binsh", "/bin/bash"),
    ("flock*", "/run/app.lock"),
    ("stop", "/run/app.pid"),
    ("reload", "/run/app.pid"),
    ("pause", "/run/app.pid"),
    ("ping", "127.0.0.1:3031"),
    // user and isolation
    ("uid", "www-data"),
    ("gid", "www-data"),
    ("add-gid", "adm"),
    ("immediate-*", "www-data"),
    ("chroot", "/srv/jail"),
    ("cap", "net_bind_service"),
    ("unshare*", "ipc,uts"),
    ("namespace*", "/srv/jail"),
    ("setns", "/run/netns/blue"),
    ("cgroup-opt", "memory.max=512M"),
    ("cgroup-dir-mode", "755"),
    ("cgroup", "/sys/fs/cgroup/app"),
    ("pivot-root", "/srv/jail /srv/jail/old"),
    // hooks
    ("hook-touch", "/run/app.touch print:touched"),
    ("hook-*", "print:here"),
    ("exec-*", "/usr/bin/logger here"),
    ("call-*", "my_function"),
    ("after-request-hook", "my_function"),
    // requests and answers
    ("keep-alive", "30"),
    ("add-header", "X-Frame-Options: DENY"),
    ("rem-header", "Server"),
    ("collect-header", "X-User REMOTE_USER"),
    ("pull-header", "X-User REMOTE_USER"),
    ("upload-progress", "/run/uploads"),
    ("static-map*", "/static=/srv/app/static"),
    ("check-static*", "/srv/app/public"),
    ("static-index", "index.html"),
    ("static-skip-ext", ".php"),
    ("static-safe", "/srv/shared"),
    ("file-serve-mode", "x-sendfile"),
    ("static-expires-type*", "text/css=86400"),
    ("static-expires*", "\\.css$ 86400"),
    ("static-gzip", "\\.js$"),
    ("mime-file", "/etc/mime.types"),
    ("static-cache-paths-name", "paths"),
    ("route-if*", "equal:${PATH_INFO};/old redirect-302:/new"),
    ("route-run", "log:seen"),
    ("route-label", "end"),
    ("route*", "^/old redirect-302:/new"),
    ("error-route-status", "502 redirect-302:/sorry"),
    ("error-page*", "/srv/app/error.html"),
    // beside the workers
    ("attach-daemon2", "cmd=celery worker,freq=3"),
    ("attach-*", "celery worker"),
    ("smart-attach-daemon*", "/run/redis.pid redis-server"),
    ("cron2", "minute=30,unique=1 /usr/bin/backup"),
    ("cron", "30 3 -1 -1 -1 /usr/bin/backup"),
    ("unique-cron", "30 3 -1 -1 -1 /usr/bin/backup"),
    ("mules", "2"),
    ("mule", "worker.py"),
    ("farm", "mails:1,2"),
    ("spooler-external", "/var/spool/app"),
    ("spooler-chdir", "/srv/app"),
    ("spooler", "/var/spool/app"),
    ("timer", "17 60"),
    ("rbtimer", "17 60"),
    ("signal", "127.0.0.1:3031,17"),
    ("emperor", "/etc/rsgi/vassals"),
    ("emperor-on-demand-ext*", ".socket"),
    ("emperor-pidfile", "/run/emperor.pid"),
    ("emperor-stats", "127.0.0.1:9191"),
    ("vassals-set", "base=/srv"),
    ("vassals-in*", "/etc/rsgi/vassal.ini"),
    ("vassals-start-hook", "/usr/bin/notify"),
    ("vassals-stop-hook", "/usr/bin/notify"),
    ("subscribe-to", "127.0.0.1:4000:example.com"),
    ("subscribe2", "server=127.0.0.1:4000,key=example.com"),
    // observation and storage
    ("stats-push", "file:/run/stats.json"),
    ("stats", "127.0.0.1:9191"),
    ("health", "127.0.0.1:9192"),
    ("carbon-root", "rsgi"),
    ("carbon", "127.0.0.1:2003"),
    ("metrics-dir", "/run/metrics"),
    ("metric", "name=sold,type=counter"),
    ("cache2", "name=pages,items=1000,blocksize=65536"),
    ("cache", "1000"),
    ("queue-store", "/var/lib/app/queue"),
    ("queue", "100"),
    ("sharedarea", "4"),
    // the plugins that come along
    ("wsgi-file", "/srv/app/wsgi.py"),
    ("module", "shop.wsgi:application"),
    ("callable", "application"),
    ("virtualenv", "/srv/app/venv"),
    ("pythonpath", "/srv/app"),
    ("py-autoreload", "2"),
    ("http", ":8080"),
    ("https", ":8443,/etc/ssl/app.crt,/etc/ssl/app.key"),
    ("http-to", "127.0.0.1:3031"),
    ("http-timeout", "60"),
    ("http-keepalive", "30"),
    ("http-processes", "2"),
    ("lua", "/srv/app/app.lua"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Apply;
    use crate::options::table;
    use crate::settings::Settings;

    #[test]
    fn every_example_is_taken_by_its_option() {
        for row in table::rows() {
            let Some(example) = find(row.name) else { continue };
            let mut settings = Settings::with_defaults(false);
            let taken = match row.apply {
                Apply::Parsed(set) => set(&mut settings, example),
                Apply::OptionalParsed(set) => set(&mut settings, Some(example)),
                Apply::Number { min, max, .. } => crate::options::parse::number(example, min, max).map(drop),
                _ => Ok(()),
            };
            assert_eq!(taken, Ok(()), "{} = {example}", row.name);
        }
    }

    #[test]
    fn nearly_all_that_has_a_form_of_its_own_has_an_example() {
        let has_form =
            |row: &&crate::options::OptionSpec| matches!(row.apply, Apply::Parsed(_) | Apply::OptionalParsed(_));
        let without: Vec<&str> = table::rows()
            .filter(has_form)
            .map(|row| row.name)
            .filter(|n| find(n).is_none())
            .collect();
        assert!(
            without.len() * 10 <= table::rows().filter(has_form).count(),
            "{without:?}"
        );
    }
}
