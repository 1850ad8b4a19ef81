"""A gunicorn configuration file: run, checked, and taken apart into hooks (installed in the master) and settings
(turned into options of the server, below what its command line says). Every setting that has no equivalent is named
with the reason."""
import os
import re
import shlex
import sys

import rsgidecorators

HOOKS = tuple(rsgidecorators._ARITY)

# gunicorn's own values, for `cfg` and to know what is worth a word
DEFAULTS = {
    "wsgi_app": None, "bind": ["127.0.0.1:8000"], "backlog": 2048, "workers": 1, "worker_class": "sync", "threads": 1,
    "worker_connections": 1000, "max_requests": 0, "max_requests_jitter": 0, "timeout": 30, "graceful_timeout": 30,
    "keepalive": 2, "limit_request_line": 4094, "limit_request_fields": 100, "limit_request_field_size": 8190,
    "reload": False, "reload_engine": "auto", "reload_extra_files": [], "spew": False, "check_config": False,
    "print_config": False, "preload_app": False, "sendfile": None, "reuse_port": False, "chdir": None,
    "daemon": False, "raw_env": [], "pidfile": None, "worker_tmp_dir": None, "user": None, "group": None, "umask": 0,
    "initgroups": False, "tmp_upload_dir": None, "secure_scheme_headers":
    {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}, "forwarded_allow_ips": "127.0.0.1,::1",
    "accesslog": None, "disable_redirect_access_to_syslog": False, "access_log_format": None, "errorlog": "-",
    "loglevel": "info", "capture_output": False, "logger_class": None, "logconfig": None, "logconfig_dict": {},
    "logconfig_json": None, "syslog_addr": None, "syslog": False, "syslog_prefix": None, "syslog_facility": "user",
    "enable_stdio_inheritance": False, "statsd_host": None, "dogstatsd_tags": "", "statsd_prefix": "",
    "enable_backlog_metric": False, "proc_name": None, "default_proc_name": "gunicorn", "pythonpath": None,
    "paste": None, "ssl_context": None, "proxy_protocol": "off", "proxy_allow_ips": "127.0.0.1,::1",
    "protocol": "http", "uwsgi_allow_ips": "127.0.0.1,::1", "keyfile": None, "certfile": None, "ssl_version": None,
    "cert_reqs": 0, "ca_certs": None, "suppress_ragged_eofs": True, "do_handshake_on_connect": False, "ciphers": None,
    "http_protocols": "h1", "http2_max_concurrent_streams": 100, "http2_initial_window_size": 65535,
    "http2_max_frame_size": 16384, "http2_max_header_list_size": 65536, "raw_paste_global_conf": [],
    "permit_obsolete_folding": False, "strip_header_spaces": False, "permit_unconventional_http_method": False,
    "permit_unconventional_http_version": False, "casefold_http_method": False,
    "forwarder_headers": "SCRIPT_NAME,PATH_INFO", "header_map": "drop", "asgi_loop": "auto", "asgi_lifespan": "auto",
    "asgi_disconnect_grace_period": 3, "http_parser": "auto", "root_path": "", "dirty_apps": [], "dirty_workers": 0,
    "dirty_timeout": 300, "dirty_threads": 1, "dirty_graceful_timeout": 30, "on_dirty_starting": None,
    "dirty_post_fork": None, "dirty_worker_init": None, "dirty_worker_exit": None, "control_socket": None,
    "control_socket_mode": 0o600, "control_socket_disable": False,
}

_TLS = "TLS is configured with the address: --https ADDRESS,CERTIFICATE,KEY, or a TLS proxy in front"
_HEAD = "the head of a request is bounded as a whole: --buffer-size, 64 KiB unless set, answered with 431 beyond"
_STRICT = "the parser has no lax mode: such requests are answered with 400"
_LOGGING = ("the server's log is configured with --logger, --logto and --log-format; Python's logging is the "
            "application's own")
_STATSD = "figures are offered with --stats (also for Prometheus)"
_DIRTY = "there is no pool of task workers; mules and spoolers do such work"
_H2 = "HTTP/2 is the gateway's: --http2 with --https"
_ASGI = "ASGI is not configured here"

# setting -> why there is no equivalent (or why none is needed)
REASONS = {
    "worker_connections": "not needed: a waiting connection costs no thread; --threads says how many are served",
    "limit_request_line": _HEAD, "limit_request_fields": _HEAD, "limit_request_field_size": _HEAD,
    "reload_engine": "the files of loaded modules are compared each second (--py-autoreload)",
    "spew": "a debugger does this better",
    "check_config": "--check-config is an option of the command line",
    "print_config": "--show-config is an option of the command line",
    "sendfile": "files are sent by the kernel wherever that is possible",
    "worker_tmp_dir": "not needed: the heartbeat of workers is in shared memory",
    "initgroups": "the groups of --uid are always set; --no-initgroups leaves them out",
    "tmp_upload_dir": "bodies that do not fit into memory (--post-buffering) go to TMPDIR",
    "secure_scheme_headers": "the scheme comes from X-Forwarded-Proto of a --trusted-proxy",
    "disable_redirect_access_to_syslog": _LOGGING, "logger_class": _LOGGING, "syslog_addr": _LOGGING, "syslog_prefix": _LOGGING,
    "syslog_facility": _LOGGING,
    "capture_output": "not needed: what applications print is in the log",
    "enable_stdio_inheritance": "not needed: what applications print is in the log",
    "statsd_host": _STATSD, "dogstatsd_tags": _STATSD, "statsd_prefix": _STATSD, "enable_backlog_metric": _STATSD,
    "ssl_context": _TLS, "keyfile": _TLS, "certfile": _TLS, "ssl_version": _TLS, "cert_reqs": _TLS, "ca_certs": _TLS,
    "suppress_ragged_eofs": _TLS, "do_handshake_on_connect": _TLS, "ciphers": _TLS,
    "proxy_allow_ips": "--trusted-proxy names the peers for PROXY lines and forwarded headers alike",
    "uwsgi_allow_ips": "bind the uwsgi socket (--socket) to an address that only the web server reaches",
    "http_protocols": _H2, "http2_max_concurrent_streams": _H2, "http2_initial_window_size": _H2,
    "http2_max_frame_size": _H2, "http2_max_header_list_size": _H2,
    "raw_paste_global_conf": "the variables of a PasteDeploy file are those of its own DEFAULT section",
    "permit_obsolete_folding": _STRICT, "strip_header_spaces": _STRICT, "permit_unconventional_http_method": _STRICT,
    "permit_unconventional_http_version": _STRICT, "casefold_http_method": _STRICT,
    "forwarder_headers": "forwarded headers of a --trusted-proxy count, no others",
    "header_map": "headers with underscores are dropped, as with the value drop",
    "asgi_loop": _ASGI, "asgi_lifespan": _ASGI, "asgi_disconnect_grace_period": _ASGI,
    "http_parser": "there is one parser", "root_path": "mount the application: --mount /PATH=APP --manage-script-name",
    "dirty_apps": _DIRTY, "dirty_workers": _DIRTY, "dirty_timeout": _DIRTY, "dirty_threads": _DIRTY,
    "dirty_graceful_timeout": _DIRTY, "on_dirty_starting": _DIRTY, "dirty_post_fork": _DIRTY,
    "dirty_worker_init": _DIRTY, "dirty_worker_exit": _DIRTY,
    "control_socket": "--master-fifo and --stats are the control sockets",
    "control_socket_mode": "--master-fifo and --stats are the control sockets",
    "control_socket_disable": "not needed: there is no control socket unless --master-fifo or --stats asks for one",
}

# what GUNICORN_CMD_ARGS may hold: flag -> setting; those that take no value are in SWITCHES
FLAGS = {
    "-b": "bind", "-w": "workers", "-k": "worker_class", "-t": "timeout", "-D": "daemon", "-e": "raw_env",
    "-p": "pidfile", "--pid": "pidfile", "-u": "user", "-g": "group", "-m": "umask", "-n": "proc_name",
    "--name": "proc_name", "--env": "raw_env", "--keep-alive": "keepalive", "--preload": "preload_app",
    "--reload-extra-file": "reload_extra_files", "--access-logfile": "accesslog", "--access-logformat":
    "access_log_format", "--error-logfile": "errorlog", "--log-file": "errorlog", "--log-level": "loglevel",
    "--log-config": "logconfig", "--log-config-json": "logconfig_json", "--log-syslog": "syslog",
    "--log-syslog-to": "syslog_addr", "--log-syslog-prefix": "syslog_prefix", "--log-syslog-facility":
    "syslog_facility", "-R": "enable_stdio_inheritance", "--no-sendfile": "sendfile", "--paster": "paste",
    "--proxy-allow-from": "proxy_allow_ips", "--uwsgi-allow-from": "uwsgi_allow_ips", "--dirty-app": "dirty_apps",
    "--no-control-socket": "control_socket_disable", "--limit-request-field_size": "limit_request_field_size",
    "--paste-global": "raw_paste_global_conf",
}
SWITCHES = ("daemon", "reload", "preload_app", "reuse_port", "capture_output", "enable_stdio_inheritance", "spew",
            "check_config", "print_config", "initgroups", "syslog", "sendfile", "suppress_ragged_eofs",
            "do_handshake_on_connect", "disable_redirect_access_to_syslog", "permit_obsolete_folding",
            "strip_header_spaces", "permit_unconventional_http_method", "permit_unconventional_http_version",
            "casefold_http_method", "control_socket_disable", "enable_backlog_metric")
LISTS = ("bind", "raw_env", "reload_extra_files", "dirty_apps", "raw_paste_global_conf")

SOCKETS = ("http-socket,socket,uwsgi-socket,http,http11-socket,https,https-socket,fastcgi-socket,scgi-socket,"
           "raw-socket,shared-socket,emperor")
APPS = "wsgi-file,file,module,wsgi,mount,eval,paste,ini-paste,ini-paste-logged,python-worker-override,pecan"

# placeholders of gunicorn's access_log_format -> those of --log-format
FORMAT = {
    "h": "%(addr)", "l": "-", "u": "%(user)", "t": "[%(ltime)]", "r": "%(method) %(uri) %(proto)", "m": "%(method)",
    "U": "%(var.PATH_INFO)", "q": "%(var.QUERY_STRING)", "H": "%(proto)", "s": "%(status)", "B": "%(rsize)",
    "b": "%(rsize)", "f": "%(referer)", "a": "%(uagent)", "T": "%(secs)", "D": "%(micros)", "M": "%(msecs)",
    "p": "<%(pid)>",
}


class Conf(object):
    """One file: where each name stands, the hooks, the settings."""

    def __init__(self, path):
        self.path = path
        self.lines = {}
        self.places = {}
        names = self.run()
        self.hooks = {}
        self.values = {}
        if "WEB_CONCURRENCY" in os.environ:
            self.values["workers"] = os.environ["WEB_CONCURRENCY"]
            self.places["workers"] = "environment variable WEB_CONCURRENCY"
        for name, value in names.items():
            if name in HOOKS:
                self.hooks[name] = value
            elif name in DEFAULTS:
                self.values[name] = value
                self.places.pop(name, None)
        self.strays = [name for name, value in names.items()
                       if name not in DEFAULTS and name not in HOOKS and not name.startswith("_")
                       and isinstance(value, (str, int, float, bool, list, tuple))]
        self.arguments(shlex.split(os.environ.get("GUNICORN_CMD_ARGS", "")))

    def run(self):
        """The names that the file, or the module behind `python:`, defines."""
        if self.path.startswith("python:"):
            import importlib
            module = importlib.import_module(self.path[len("python:"):])
            self.path = getattr(module, "__file__", None) or self.path
            names = dict(vars(module))
        else:
            names = {"__builtins__": __builtins__, "__name__": "__config__", "__file__": self.path, "__doc__": None,
                     "__package__": None}
            with open(self.path, "rb") as file:
                source = file.read()
            exec(compile(source, self.path, "exec", dont_inherit=True), names)
        try:
            import ast
            with open(self.path, "rb") as file:
                tree = ast.parse(file.read())
        except (OSError, SyntaxError, ValueError):
            return names
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.lines.setdefault(node.id, node.lineno)
            elif isinstance(node, ast.FunctionDef):
                self.lines.setdefault(node.name, node.lineno)
        return names

    def arguments(self, words):
        """GUNICORN_CMD_ARGS: above the file, as in gunicorn."""
        seen = set()
        words = list(words)
        while words:
            word = words.pop(0)
            flag, equals, value = word.partition("=")
            if not word.startswith("--") and len(word) > 2 and word[:2] in FLAGS:
                flag, equals, value = word[:2], "=", word[2:]
            if not flag.startswith("-"):
                name, equals, value = "wsgi_app", "=", word
            else:
                name = FLAGS.get(flag) or flag[2:].replace("-", "_")
            if name not in DEFAULTS:
                raise ValueError("GUNICORN_CMD_ARGS: %s is no option of gunicorn" % flag)
            if name in SWITCHES:
                value = name != "sendfile"
            elif not equals:
                if not words:
                    raise ValueError("GUNICORN_CMD_ARGS: %s needs a value" % flag)
                value = words.pop(0)
            if name in LISTS:
                value = (self.values[name] if name in seen else []) + [value]
            seen.add(name)
            self.values[name] = value
            self.places[name] = "environment variable GUNICORN_CMD_ARGS"

    def place(self, name):
        if name in self.places:
            return self.places[name]
        line = self.lines.get(name)
        return "%s:%d" % (self.path, line) if line else self.path

    def wrong(self, name, value, wanted):
        return ValueError("%s: %s = %r: %s is wanted" % (self.place(name), name, value, wanted))

    # ---- values as gunicorn reads them

    def number(self, name):
        value = self.values[name]
        try:
            number = int(value, 0) if isinstance(value, str) else int(value)
        except (TypeError, ValueError):
            raise self.wrong(name, value, "a number") from None
        if number < 0:
            raise self.wrong(name, value, "a number from 0 on")
        return number

    def flag(self, name):
        value = self.values[name]
        if value is None or isinstance(value, (bool, int)):
            return bool(value)
        text = str(value).strip().lower()
        if text in ("true", "false"):
            return text == "true"
        raise self.wrong(name, value, "True or False")

    def list(self, name):
        value = self.values[name]
        if value is None:
            return []
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else [str(v) for v in value]

    def worker_class(self):
        value = self.values.get("worker_class", "sync")
        return value if isinstance(value, str) else getattr(value, "__name__", str(value))

    def threads(self):
        return self.number("threads") if "threads" in self.values else 1

    # ---- into the server

    def install(self):
        """The hooks, and `server.cfg`; a hook that cannot be called as it will be is an error."""
        server = rsgidecorators.server
        server.cfg = rsgidecorators.Cfg(dict(DEFAULTS, **self.values))
        server.log.setup(server.cfg)
        self.loggers(server.log)
        for name, function in self.hooks.items():
            if isinstance(function, str):
                function = dotted(name, function)
            if function is not None:
                rsgidecorators._register(name, function)


    def loggers(self, log):
        """Python's logger "gunicorn.error", which hooks and applications use, ends in the server's log; what the file
        says of Python's loggers is done."""
        import logging

        class Handler(logging.Handler):
            def emit(self, record):
                try:
                    log.log(record.levelno, self.format(record))
                except Exception:
                    self.handleError(record)

        logger = logging.getLogger("gunicorn.error")
        logger.handlers[:] = [Handler()]
        logger.setLevel(log.loglevel)
        logger.propagate = False
        if self.values.get("logconfig_dict"):
            import logging.config
            logging.config.dictConfig(dict({"version": 1, "disable_existing_loggers": False},
                                           **self.values["logconfig_dict"]))
        elif self.values.get("logconfig_json"):
            import json
            import logging.config
            with open(self.values["logconfig_json"]) as file:
                logging.config.dictConfig(dict({"version": 1, "disable_existing_loggers": False}, **json.load(file)))
        elif self.values.get("logconfig"):
            import logging.config
            logging.config.fileConfig(self.values["logconfig"], disable_existing_loggers=False)


def dotted(name, text):
    """A hook named as 'package.module.function'."""
    import importlib
    module, _, attribute = text.rpartition(".")
    if not module:
        raise TypeError("%s = %r: give a function, or 'package.module.function'" % (name, text))
    return getattr(importlib.import_module(module), attribute)


def records(conf):
    """What the settings mean for the options: (kind, name, value, unless, origin)."""
    found = []
    for name, function in conf.hooks.items():
        if function is not None and not isinstance(function, str):
            rsgidecorators._check(name, function)

    def option(setting, name, value=None, unless=""):
        kind = "flag" if value is None else "option"
        found.append((kind, name, "" if value is None else str(value), unless, conf.place(setting)))

    def note(setting, text):
        found.append(("note", setting, text, "", conf.place(setting)))

    for setting in conf.values:
        translate = TRANSLATE.get(setting)
        if translate is not None:
            translate(conf, setting, option, note)
        elif setting in REASONS and conf.values[setting] != DEFAULTS[setting]:
            note(setting, "%s has no equivalent: %s" % (setting, REASONS[setting]))
    defaults(conf, option)
    import difflib
    for stray in conf.strays:
        near = difflib.get_close_matches(stray, list(DEFAULTS) + list(HOOKS), 1, 0.85)
        if near:
            note(stray, "%s is no setting: did you mean %s?" % (stray, near[0]))
    return found


def defaults(conf, option):
    """What gunicorn does unless told otherwise, where the hooks or an operator rely on it."""
    if "bind" not in conf.values:
        port = os.environ.get("PORT")
        option("bind", "http-socket", "0.0.0.0:%s" % port if port else "127.0.0.1:8000", SOCKETS)
    if "preload_app" not in conf.values:
        option("preload_app", "lazy-apps", None, "lazy")
    if any(address.startswith("unix:") for address in (conf.list("bind") if "bind" in conf.values else ())):
        # gunicorn's own umask is 0: the web server may be another user
        mask = conf.number("umask") if "umask" in conf.values else 0
        option("umask" if "umask" in conf.values else "bind", "chmod-socket", "%o" % (0o777 & ~mask))
    option("workers", "worker-boot-error-halt")
    option("workers", "master", None, "no-master")


def _simple(option_name, number=True):
    def translate(conf, setting, option, note):
        value = conf.number(setting) if number else conf.values[setting]
        if value not in (None, 0, ""):
            option(setting, option_name, value)
    return translate


def _switch(option_name):
    def translate(conf, setting, option, note):
        if conf.flag(setting):
            option(setting, option_name)
    return translate


def _each(option_name):
    def translate(conf, setting, option, note):
        for value in conf.list(setting):
            option(setting, option_name, value)
    return translate


def _bind(conf, setting, option, note):
    for address in conf.list(setting):
        if address.startswith("unix:"):
            address = address[5:]
            address = address[2:] if address.startswith("//") else address
        elif address.startswith("tcp://"):
            address = address[6:]
        if address.startswith("[") and address.endswith("]"):
            address += ":8000"
        if not address.startswith(("/", "@", "fd://", ".")) and ":" not in address and address:
            address = "127.0.0.1:%s" % address if address.isdigit() else "%s:8000" % address
        option(setting, "http-socket", address, SOCKETS)


def _worker_class(conf, setting, option, note):
    name = conf.worker_class()
    plain = name.rpartition(".")[2].lower()
    if plain in ("sync", "syncworker", "gthread", "threadworker"):
        return
    if "gevent" in plain or "eventlet" in plain:
        why = "there is no green-thread loop in this version; --threads serves requests at once"
    elif "tornado" in plain:
        why = "a script with a loop of its own serves with --python-worker-override"
    elif "uvicorn" in plain or "asgi" in plain:
        why = "this is an ASGI worker; a WSGI application needs none"
    else:
        why = "worker classes of gunicorn cannot be used; --python-worker-override runs a loop of your own"
    note(setting, "worker_class = %r has no equivalent: %s" % (name, why))


def _timeout(conf, setting, option, note):
    seconds = conf.number(setting)
    plain = conf.worker_class().rpartition(".")[2].lower()
    if seconds == 0:
        return
    if plain in ("sync", "syncworker") and conf.threads() <= 1:
        option(setting, "harakiri", seconds)  # the beat of a sync worker bounds its requests
    option(setting, "worker-heartbeat", seconds)


def _graceful(conf, setting, option, note):
    option(setting, "worker-reload-mercy", conf.number(setting))
    option(setting, "reload-mercy", conf.number(setting))


def _keepalive(conf, setting, option, note):
    seconds = conf.number(setting)
    option(setting, "keep-alive", seconds if seconds else "false", "no-keep-alive")


def _preload(conf, setting, option, note):
    if not conf.flag(setting):
        option(setting, "lazy-apps", None, "lazy")


def _reload(conf, setting, option, note):
    if conf.flag(setting):
        option(setting, "py-autoreload", 1)


def _umask(conf, setting, option, note):
    if conf.number(setting):
        option(setting, "umask", "%o" % conf.number(setting))


def _daemon(conf, setting, option, note):
    if conf.flag(setting):
        log = conf.values.get("errorlog")
        option(setting, "daemonize", log if log not in (None, "-") else "/dev/null", "daemonize2")


def _errorlog(conf, setting, option, note):
    path = conf.values[setting]
    if path not in (None, "-", "") and not conf.values.get("daemon"):
        option(setting, "logto", path, "logto2,logger,daemonize,daemonize2")


def _accesslog(conf, setting, option, note):
    path = conf.values[setting]
    if path is None:
        option(setting, "disable-logging")
    elif path not in ("-", ""):
        option(setting, "req-logger", "file:%s" % path, "logger")


def _format(conf, setting, option, note):
    unknown = []

    def replace(match):
        atom = match.group(1)
        if atom.startswith("{") and atom.endswith("}i"):
            return "%%(var.HTTP_%s)" % atom[1:-2].upper().replace("-", "_")
        if atom.startswith("{") and atom.endswith("}e"):
            return "%%(var.%s)" % atom[1:-2]
        if atom not in FORMAT:
            unknown.append(match.group(0))
            return "-"
        return FORMAT[atom]

    text = re.sub(r"%\(([^)]*)\)s", replace, str(conf.values[setting]))
    option(setting, "log-format", text)
    if unknown:
        note(setting, "access_log_format: %s has no equivalent: '-' is logged in its place" % ", ".join(unknown))


def _proc_name(conf, setting, option, note):
    option(setting, "auto-procname")
    option(setting, "procname-prefix-spaced", conf.values[setting], "procname,procname-prefix")


def _proxies(conf, setting, option, note):
    for peer in conf.list(setting):
        for network in ("0.0.0.0/0", "::/0") if peer == "*" else (peer,):
            option(setting, "trusted-proxy", network)


def _proxy_protocol(conf, setting, option, note):
    value = str(conf.values[setting]).lower()
    if value not in ("off", "false", "none", "0"):
        option(setting, "enable-proxy-protocol")


def _protocol(conf, setting, option, note):
    if conf.values[setting] != "http":
        note(setting, "protocol = %r: give the uwsgi socket with --socket" % conf.values[setting])


def _wsgi_app(conf, setting, option, note):
    if conf.values[setting]:
        name = conf.values[setting]
        option(setting, "module", name if ":" in name else name + ":application", APPS)


def _chdir(conf, setting, option, note):
    option(setting, "chdir", conf.values[setting])


def _env(conf, setting, option, note):
    for pair in conf.list(setting) if not isinstance(conf.values[setting], str) else [conf.values[setting]]:
        option(setting, "env", pair)


def _loggers(conf, setting, option, note):
    if conf.values[setting]:
        note(setting, "%s is applied to Python's loggers; requests are logged by the server (--log-format, --req-logger), "
                      "not by the logger gunicorn.access" % setting)


def _nothing(conf, setting, option, note):
    """Has its effect elsewhere: the level of `server.log`, the name of the process."""


TRANSLATE = {
    "wsgi_app": _wsgi_app, "bind": _bind, "backlog": _simple("listen"), "workers": _simple("processes"),
    "worker_class": _worker_class, "threads": _simple("threads"), "max_requests": _simple("max-requests"),
    "max_requests_jitter": _simple("max-requests-jitter"), "timeout": _timeout, "graceful_timeout": _graceful,
    "keepalive": _keepalive, "preload_app": _preload, "reload": _reload, "reload_extra_files": _each("touch-reload"),
    "reuse_port": _switch("reuse-port"), "chdir": _chdir, "daemon": _daemon, "raw_env": _env,
    "pidfile": _simple("pidfile", False), "user": _simple("uid", False), "group": _simple("gid", False),
    "umask": _umask, "logconfig": _loggers, "logconfig_dict": _loggers, "logconfig_json": _loggers, "forwarded_allow_ips": _proxies, "accesslog": _accesslog, "access_log_format": _format,
    "errorlog": _errorlog, "loglevel": _nothing, "proc_name": _proc_name, "default_proc_name": _nothing,
    "pythonpath": _each("pythonpath"), "paste": _simple("paste", False), "proxy_protocol": _proxy_protocol,
    "protocol": _protocol, "syslog": lambda conf, s, option, note: conf.flag(s) and note(
        s, "syslog has no equivalent: " + _LOGGING),
}
