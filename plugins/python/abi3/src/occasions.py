"""Python's half of the plugin, as far as it is needed on occasion: scripts, tracebacks, hints, watchers, hooks. Runs in
the namespace of support.py, once something of it is asked for the first time."""
import builtins
import os
import sys


def load_paste(path, name, logged):
    if logged:
        try:
            from paste.script.util.logging_config import fileConfig
        except ImportError:
            from logging.config import fileConfig
        fileConfig(path)
    from paste.deploy import loadapp
    path = path if path.startswith(("config:", "egg:")) else "config:" + os.path.abspath(path)
    return loadapp(path, **({"name": name} if name else {}))


def load_pecan(path):
    from pecan.deploy import deploy
    return deploy(os.path.abspath(path))


def import_by_name(name):
    """--import: a module, or a .py file."""
    if name.endswith(".py"):
        return load_file(name)
    return load_module(name)


LOGGERS = {}


def log_line(argument, line):
    """--logger python:ARGUMENT, a name of logging or MODULE:FUNCTION; None, or why the line is not written. Nothing may
    be printed: that would be the next line."""
    try:
        write = LOGGERS.get(argument)
        if write is None:
            write = LOGGERS[argument] = find_logger(argument)
        write(line.decode(errors="replace").rstrip("\n"))
    except BaseException as e:
        return "%s: %s" % (type(e).__name__, " ".join(str(e).split()))


def find_logger(argument):
    module, colon, name = argument.partition(":")
    if colon:
        import importlib
        return getattr(importlib.import_module(module), name)
    import logging
    logger = logging.getLogger(argument or None)
    here, handlers = logger, []
    while here:
        handlers += here.handlers
        here = here.parent if here.propagate else None
    for handler in handlers:
        stream = getattr(handler, "stream", None)
        try:
            leads_back = stream.fileno() in (1, 2)
        except (AttributeError, OSError, ValueError):
            continue
        if leads_back:
            raise ValueError("%r writes to standard output or error, which is the log itself" % handler)
    if not handlers:
        raise ValueError("no handler is there for it: give it one where the application is loaded")
    logging.raiseExceptions = False
    return logger.error


def run_main(path, argv=None):
    """Runs a script as __main__; the exit code it asks for."""
    import __main__
    if argv is not None:
        sys.argv = argv
    try:
        with open(path, "rb") as f:
            source = f.read()
        __main__.__file__ = path
        __main__.__builtins__ = builtins
        exec(compile(source, path, "exec", dont_inherit=True), __main__.__dict__)
    except SystemExit as e:
        if e.code is None:
            return 0
        if isinstance(e.code, int):
            return e.code & 255
        print(e.code, file=sys.stderr, flush=True)
        return 1
    except BaseException:
        import traceback
        traceback.print_exc()
        return 1
    return 0


def run_override(path):
    """The script that serves in place of the request loop. Until it has handlers of its own, the server's orders to
    leave end it the Python way, with its `finally` blocks and atexit functions."""
    import signal

    def leave(number, frame):
        if number in (signal.SIGINT, signal.SIGQUIT):
            fire("worker_int")
        sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, leave)
    return run_main(path)


def run_shell(code):
    """--pyshell: code, or a shell on the terminal; IPython's if it is there. Whether there was a terminal; None when the
    server's order to leave ended it. The caller puts back the handlers of signals."""
    import signal
    try:
        if not os.isatty(0):
            return False
    except OSError:
        return False
    # what is shown and typed goes to the terminal, not into the log
    kept = [os.dup(1), os.dup(2)]
    os.dup2(0, 1)
    os.dup2(0, 2)
    names = {"__name__": "__console__", "uwsgi": __import__("uwsgi")}
    told = []

    def leave(number, frame):
        told.append(number)
        sys.exit(0)

    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, leave)
        if code:
            exec(compile(code, "<pyshell>", "exec", dont_inherit=True), names)
        else:
            try:
                from IPython import start_ipython
                start_ipython(argv=[], user_ns=names)
            except ImportError:
                import code as shell
                shell.interact(local=names)
    except SystemExit:
        pass
    finally:
        for number, fd in zip((1, 2), kept):
            os.dup2(fd, number)
            os.close(fd)
    return None if told else True


def refresh_environ(pairs):
    """--reload-os-env: what C code has put into the environment, or taken out of it, since Python looked."""
    now = dict(pairs)
    if os.environ._data != now:
        os.environ._data.clear()
        os.environ._data.update(now)


def watch_modules(seconds, ignored, log, reload, events, watch_folder, show):
    """--py-autoreload: a thread that hears of changes to the files of loaded modules, and looks itself each so many
    seconds, for file systems that tell nothing. Without `reload` it only shows mistakes: another worker does the rest."""
    import select
    import struct
    import threading
    import time

    files, folders, broken = {}, {}, {}
    head = struct.Struct("iIII")
    poll = select.poll()
    if events >= 0:
        poll.register(events, select.POLLIN)
    say = log if reload else lambda line: None

    def stamp(path):
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return 0

    def look_around():
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if not path or path in files or name in ignored:
                continue
            now = stamp(path)
            # what changed while it was loaded is not what was loaded
            files[path] = None if STARTED < now <= time.time_ns() else now
            folder = os.path.dirname(path)
            if events >= 0 and folder not in folders.values():
                folders[watch_folder(events, folder or ".")] = folder

    def named_by_events():
        names, at = set(), 0
        data = os.read(events, 65536)
        while at < len(data):
            number, _, _, length = head.unpack_from(data, at)
            at += head.size + length
            if number not in folders:  # more happened than there is room for
                return list(files)
            name = data[at - length:at].rstrip(b"\0")
            names.add(os.path.join(folders[number], os.fsdecode(name)))
        return names.intersection(files)

    def has_changed(path):
        now = stamp(path)
        if now == files[path]:
            return False
        files[path] = now
        if not now:
            return False  # it is away, and will be another one when it comes back
        broken.pop(path, None)
        say("[python-reloader] module/file %s has been modified" % path)
        if path.endswith(".py"):
            try:
                with open(path, "rb") as f:
                    compile(f.read(), path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as e:
                import traceback
                broken[path] = "".join(traceback.format_exception_only(type(e), e))
                say("[python-reloader] %s; no reload until this is mended" % (hint(e, None) or e))
            except OSError:
                pass  # it is on its way, and will be heard of again
        return True

    def page():
        import html
        return ("<!doctype html><title>%(what)s</title><h1>%(what)s</h1><pre>%(texts)s</pre><p>Once this is mended, "
                "the server reloads." % {"what": "Python does not understand a changed file",
                                         "texts": html.escape("\n".join(broken.values()))})

    def watch():
        while True:
            look_around()
            paths = [path for path, known in files.items() if known is None]
            if not paths:
                if poll.poll(seconds * 1000):
                    time.sleep(0.05)  # editors save more than one file, and some files twice
                    paths = named_by_events()
                else:
                    paths = list(files)
            if not any([has_changed(path) for path in paths]):
                continue
            show(page() if broken else "")
            if reload and not broken and not reload():
                log("[python-reloader] there is no master to reload: start with --master")

    threading.Thread(target=watch, name="python-reloader", daemon=True).start()


def trace_on_demand(path, log):
    """--py-tracebacker: whoever connects to the socket reads where each thread of this worker is."""
    import socket
    import threading
    import traceback

    listener = socket.socket(socket.AF_UNIX)
    try:
        os.unlink(path)
    except OSError:
        pass
    listener.bind(path)
    listener.listen(8)

    def report():
        names = {t.ident: t.name for t in threading.enumerate()}
        lines = ["*** uWSGI Python tracebacker output ***", ""]
        for ident, frame in sys._current_frames().items():
            if ident == threading.get_ident():
                continue
            for entry in traceback.extract_stack(frame):
                lines.append("thread_id = %s filename = %s lineno = %d function = %s line = %s"
                             % (names.get(ident, ident), entry.filename, entry.lineno, entry.name, entry.line))
            lines.append("")
        return "\n".join(lines) + "\n"

    def serve():
        while True:
            client, _ = listener.accept()
            with client:
                try:
                    client.sendall(report().encode())
                except OSError:
                    pass

    threading.Thread(target=serve, name="python-tracebacker", daemon=True).start()
    log("[python-tracebacker] thread stacks can be read at %s" % path)


def alias_module(spec):
    """--pymodule-alias name=module, or name=file.py."""
    name, _, target = spec.partition("=")
    if not target:
        raise ValueError("--pymodule-alias wants name=module or name=/path/to/file.py, not %r" % spec)
    sys.modules[name] = import_by_name(target)


def run_mule(script):
    """A mule's program: a .py file, or module:function."""
    if script.endswith(".py"):
        return run_main(script)
    name, _, function = script.partition(":")
    module = load_module(name)
    if function:
        found = find_callable(module, function)
        if not function.endswith(")"):
            found()
    return 0


def format_exception(kind, value, tb):
    import traceback
    if tb is not None and isinstance(kind, type) and not issubclass(kind, SyntaxError):
        # our own frames are of no use to the reader
        while tb is not None and tb.tb_frame.f_globals is globals() and tb.tb_next is not None:
            tb = tb.tb_next
    return "".join(traceback.format_exception(kind, value, tb))


def format_stack(tb):
    import traceback
    return "".join(traceback.format_tb(tb))


def hint(value, wanted):
    """What to do about a failed load, in one line; '' when the traceback says it all."""
    if isinstance(value, ModuleNotFoundError) and value.name:
        if wanted and (value.name == wanted or wanted.startswith(value.name + ".")):
            return ("no module %s on sys.path (%s): put its folder there with --pythonpath, or start from it with --chdir"
                    % (value.name, ":".join(p for p in sys.path if p)))
        return ("no module named %s in the Python of %s: install it there (%s -m pip install ...), "
                "or name the virtualenv that has it with --virtualenv"
                % (value.name, sys.prefix, sys.executable))
    if isinstance(value, SyntaxError):
        return ("%s:%s: Python %d.%d does not understand this line"
                % (value.filename, value.lineno, sys.version_info[0], sys.version_info[1]))
    if isinstance(value, FileNotFoundError) and value.filename:
        return "%s does not exist (the current directory is %s)" % (value.filename, os.getcwd())
    return ""


# ---- the life cycle: hooks of rsgidecorators and of a gunicorn configuration, if either is in use

def has_hook(name):
    return bool(sys.modules["rsgidecorators"]._registry[name])


def fire(name, *args):
    hooks = sys.modules.get("rsgidecorators")
    if hooks is not None:
        hooks._fire(name, *args)


def give_recycle(function):
    sys.modules["rsgidecorators"]._recycle = function


def on_order(number, name, leave):
    """What Python runs when the host says that this worker is to end: the hooks, then the orderly end."""
    import signal

    def handler(number, frame):
        code = 1
        try:
            fire(name)
            code = 0 if name == "worker_int" else 1
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
        except BaseException:
            import traceback
            traceback.print_exc()
        leave(code)

    signal.signal(number, handler)


def gunicorn_settings(path, fd):
    """--gunicorn-conf: what the settings of the file mean for the options, written as records of five texts."""
    import _rsgi_gunicorn
    conf = _rsgi_gunicorn.Conf(path)
    records = b"".join(text.replace("\0", "").encode("utf-8", "surrogateescape") + b"\0"
                       for record in _rsgi_gunicorn.records(conf) for text in record)
    while records:
        records = records[os.write(fd, records):]


def gunicorn_hooks(path):
    """--gunicorn-conf: the hooks of the file, and the settings as `cfg` shows them."""
    import _rsgi_gunicorn
    _rsgi_gunicorn.Conf(path).install()


async def as_coroutine(awaitable):
    return await awaitable
