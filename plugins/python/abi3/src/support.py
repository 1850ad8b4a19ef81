"""Python's half of the plugin, as far as every start needs it: the search path, the modules that come along, loading an
application. Runs in a private namespace. Each line costs every start time and every worker memory, so what only some
servers need stands in occasions.py, and modules are imported where they are needed."""
import os
import sys
import time

STARTED = time.time_ns()
ModuleSpec = type(sys.__spec__)


def setup(argv, paths, executable, log):
    sys.argv = argv
    sys.path.insert(0, "")
    sys.path.insert(0, ".")
    for pattern in paths:
        pattern = os.path.expanduser(pattern)
        found = [pattern]
        if any(c in pattern for c in "*?["):
            import glob
            found = glob.glob(pattern) or [pattern]
        for folder in found:
            if folder not in sys.path:
                sys.path.insert(0, folder)
            log("added %s/ to pythonpath." % folder.rstrip("/"))
    if executable:
        sys.executable = executable
    for stream in (sys.stdout, sys.stderr):
        # a line printed by the application is in the log at once, not after 8 KiB of them
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)


class OwnModules:
    """Finds and loads modules that the plugin brings along, after all other places."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            return ModuleSpec(name, self, origin="built-in")
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        exec(compile(self.sources[name], "<%s of rsgi>" % name, "exec", dont_inherit=True), module.__dict__)


def bring(sources):
    sys.meta_path.append(OwnModules(sources))


def module_name(path):
    name = path[:-3] if path.endswith(".py") else path
    return "uwsgi_file_" + name.replace("/", "_").replace(".", "_")


def load_code(source, name, path):
    module = type(sys)(name)
    if path:
        module.__file__ = os.path.abspath(path)
    sys.modules[name] = module
    try:
        exec(compile(source, path or "<%s>" % name, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def load_file(path):
    with open(path, "rb") as f:
        source = f.read()
    return load_code(source, module_name(path), path)


def load_eval(code):
    return load_code(code, "uwsgi_eval_config", None)


def load_module(name):
    __import__(name)  # unlike importlib's function it leaves no frames of its own in a traceback
    return sys.modules[name]


def find_callable(module, name):
    """The application called `name` in a module: 'app', 'obj.app', 'make()', 'make("x")'; None if there is none."""
    if name.endswith(")"):
        return eval(compile(name, "<callable>", "eval", dont_inherit=True), module.__dict__)
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found


def mounted_by_app():
    """uwsgi.applications, as the application's module may set it: mountpoints and callables (or their names)."""
    import uwsgi
    table = getattr(uwsgi, "applications", None)
    uwsgi.applications = None
    found = []
    for mountpoint, app in (table or {}).items():
        if isinstance(app, str):
            name, _, function = app.rpartition(":")
            app = find_callable(load_module(name), function) if name else None
        if callable(app):
            found.append((mountpoint, app))
    return found


MANY = 50000


def collect_rarely():
    """While applications are loaded: nearly all that they make stays, and to look for garbage each 700 objects takes a
    large part of the time. The thresholds as they were."""
    import gc
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(MANY, *before[1:])
    return before


def collect_as_before(before):
    """Afterwards, unless an application has set what it wants."""
    import gc
    if gc.get_threshold()[0] == MANY:
        gc.set_threshold(*before)


def freeze():
    """Before the first fork: what is loaded now is not looked at by the garbage collector again, so that a collection
    in a worker does not write to, and thereby copy, the memory that it shares with the master and the others."""
    import gc
    gc.freeze()


def finish():
    """The end of the process: what a normal Python would run."""
    try:
        import atexit
        atexit._run_exitfuncs()
    except BaseException:
        import traceback
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def is_asgi(app):
    """Whether calling it makes a coroutine: a function with async, or an object whose class has such a __call__."""
    while hasattr(app, "func") and hasattr(app, "keywords"):  # functools.partial
        app = app.func
    for function in (app, getattr(type(app), "__call__", None)):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if code is not None and code.co_flags & 0x80:
            return True
    return False
