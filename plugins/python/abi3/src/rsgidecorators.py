"""Hooks in the life of the server and its workers, as decorators. The arguments are those of gunicorn's server hooks of
the same names, so that code moves between the two unchanged:

    from rsgidecorators import child_exit

    @child_exit
    def gone(server, worker):
        print(worker.pid, worker.exit_status)

Master: on_starting(server), on_reload(server), when_ready(server), pre_fork(server, worker),
child_exit(server, worker), nworkers_changed(server, new, old), pre_exec(server), on_exit(server).
Worker: post_fork(server, worker), post_worker_init(worker), worker_int(worker), worker_abort(worker),
worker_exit(server, worker), pre_request(worker, req), post_request(worker, req, environ, resp); the last may take
fewer arguments. What on_starting, when_ready and pre_fork raise ends the server, what post_fork and post_worker_init
raise ends the worker with exit code 3, what pre_request raises is the request's error; the rest is logged."""
import os
import sys
import time
import traceback

import uwsgi

__all__ = ["on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int",
           "worker_abort", "pre_exec", "pre_request", "post_request", "child_exit", "worker_exit",
           "nworkers_changed", "on_exit"]

_ARITY = {
    "on_starting": 1, "on_reload": 1, "when_ready": 1, "pre_fork": 2, "post_fork": 2, "post_worker_init": 1,
    "worker_int": 1, "worker_abort": 1, "pre_exec": 1, "pre_request": 2, "post_request": 4, "child_exit": 2,
    "worker_exit": 2, "nworkers_changed": 3, "on_exit": 1,
}
# what these raise is not only logged
_FATAL = ("on_starting", "when_ready", "pre_fork", "post_fork", "post_worker_init", "pre_request")

_registry = {name: [] for name in _ARITY}


def _check(name, function):
    """The number of arguments that the function of a hook wants; a TypeError when it cannot be called as the hook is."""
    if not callable(function):
        raise TypeError("%s must be a function, not %r" % (name, function))
    import inspect
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return _ARITY[name]  # a builtin that does not say
    wanted = range(_ARITY[name], 1, -1) if name == "post_request" else (_ARITY[name],)
    for count in wanted:
        try:
            signature.bind(*[None] * count)
            return count
        except TypeError:
            pass
    code = getattr(function, "__code__", None)
    place = " (%s:%d)" % (code.co_filename, code.co_firstlineno) if code else ""
    raise TypeError("%s%s must take %d argument%s, not %s"
                    % (name, place, _ARITY[name], "" if _ARITY[name] == 1 else "s", signature))


def _register(name, function):
    _registry[name].append((function, _check(name, function)))
    return function


def _decorator(name):
    def decorate(function):
        return _register(name, function)
    decorate.__name__ = decorate.__qualname__ = name
    decorate.__doc__ = "Runs the function as %s hook; see the module's text." % name
    return decorate


for _name in __all__:
    globals()[_name] = _decorator(_name)


class Log(object):
    """What hooks log with: lines with time, pid and level, in the server's log."""
    LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

    def __init__(self):
        self.loglevel = 20

    def setup(self, cfg):
        self.loglevel = self.LEVELS.get(str(getattr(cfg, "loglevel", "info")).lower(), 20)

    def log(self, level, message, *args, **kwargs):
        number = level if isinstance(level, int) else self.LEVELS.get(str(level).lower(), 20)
        if number < self.loglevel:
            return
        name = next((n for n, v in self.LEVELS.items() if v == number), str(level))
        text = message % args if args else str(message)
        error = kwargs.get("exc_info")
        if error:
            error = error if isinstance(error, tuple) else sys.exc_info()
            text += "\n" + "".join(traceback.format_exception(*error)).rstrip("\n")
        stamp = time.strftime("%Y-%m-%d %H:%M:%S %z")
        uwsgi.log("[%s] [%d] [%s] %s" % (stamp, os.getpid(), name.upper(), text))

    def debug(self, message, *args, **kwargs):
        self.log(10, message, *args, **kwargs)

    def info(self, message, *args, **kwargs):
        self.log(20, message, *args, **kwargs)

    def warning(self, message, *args, **kwargs):
        self.log(30, message, *args, **kwargs)

    warn = warning

    def error(self, message, *args, **kwargs):
        self.log(40, message, *args, **kwargs)

    def critical(self, message, *args, **kwargs):
        self.log(50, message, *args, **kwargs)

    def exception(self, message, *args, **kwargs):
        self.log(40, message, *args, **dict(kwargs, exc_info=True))

    @property
    def error_log(self):
        import logging
        return logging.getLogger("gunicorn.error")

    @property
    def access_log(self):
        import logging
        return logging.getLogger("gunicorn.access")


class Cfg(object):
    """The settings of a gunicorn configuration, if there is one; an unknown name is an AttributeError."""

    def __init__(self, values=None):
        self.settings = dict(values or {})

    def __getattr__(self, name):
        try:
            return self.__dict__["settings"][name]
        except KeyError:
            raise AttributeError("No configuration setting for: %s" % name) from None

    @property
    def env(self):
        return dict(pair.split("=", 1) for pair in self.settings.get("raw_env") or () if "=" in pair)

    @property
    def address(self):
        return [_address(a) for a in _addresses()]


def _addresses():
    import socket
    found = []
    for fd in getattr(uwsgi, "sockets", ()):
        try:
            copy = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        with copy:
            found.append(copy.getsockname())
    return found


def _address(name):
    return name[:2] if isinstance(name, tuple) else name


class _Beat(object):
    """In the place of gunicorn's heartbeat file: the beat goes to shared memory."""

    def __init__(self):
        self.last = time.monotonic()

    def notify(self):
        self.last = time.monotonic()
        getattr(uwsgi, "notify_alive", lambda: None)()

    def last_update(self):
        return self.last

    def close(self):
        pass


# what gunicorn shows before the fork
_BOOTING = "[booting]"


class Worker(object):
    """A worker, as its hooks and the master's see it."""

    def __init__(self, server, number, age):
        self.id = number
        self.age = age
        self.pid = _BOOTING
        self.ppid = os.getpid()
        self._alive = True
        self.booted = False
        self.aborted = False
        self.exit_status = None
        self.cfg = server.cfg
        self.log = server.log
        self.app = server.app
        self.wsgi = None
        self.tmp = _Beat()
        self.timeout = (server.cfg.settings.get("timeout") or 0) / 2.0
        self.max_requests = server.cfg.settings.get("max_requests") or sys.maxsize

    def __str__(self):
        return "<Worker %s>" % self.pid

    def notify(self):
        self.tmp.notify()

    @property
    def alive(self):
        return self._alive

    @alive.setter
    def alive(self, value):
        """A hook that sets it to False lets the worker end after its request, when another has taken its place."""
        if self._alive and not value and self.pid == os.getpid():
            _recycle()
        self._alive = value

    @property
    def nr(self):
        records = uwsgi.workers() or ()
        return records[self.id - 1]["delta_requests"] if 0 < self.id <= len(records) else 0

    @property
    def exitcode(self):
        """As multiprocessing has it: the code, or the negative number of a signal; None while it runs."""
        if self.exit_status is None:
            return None
        return self.exit_status >> 8 if self.exit_status & 127 == 0 else -(self.exit_status & 127)

    @property
    def sockets(self):
        import socket
        return [socket.socket(fileno=os.dup(fd)) for fd in getattr(uwsgi, "sockets", ())]


class App(object):
    """In the place of gunicorn's application object."""

    def __init__(self, server):
        self.server = server
        self.logger = server.log

    @property
    def cfg(self):
        return self.server.cfg


class Server(object):
    """The server, as its hooks see it."""

    def __init__(self):
        self.cfg = Cfg()
        self.log = Log()
        self.pid = os.getpid()
        self.worker_age = 0
        self.num_workers = getattr(uwsgi, "numproc", None)
        self.started_on = getattr(uwsgi, "started_on", 0)
        self.workers = []
        self.app = App(self)
        self.current = None

    @property
    def master_pid(self):
        return uwsgi.masterpid() or os.getppid()

    @property
    def proc_name(self):
        return self.cfg.settings.get("proc_name") or self.cfg.settings.get("default_proc_name") or "rsgi"

    @property
    def address(self):
        return self.cfg.address

    @property
    def timeout(self):
        return self.cfg.settings.get("timeout")

    @property
    def LISTENERS(self):
        return list(getattr(uwsgi, "sockets", ()))

    @property
    def WORKERS(self):
        self.learn_pids()
        return {worker.pid: worker for worker in self.workers if worker.pid != _BOOTING}

    def learn_pids(self):
        """The pid of a worker is known after its fork only: the newest of an id has that of the record."""
        records = uwsgi.workers() or ()
        newest = {worker.id: worker for worker in self.workers}
        for number, worker in newest.items():
            if worker.pid == _BOOTING and 0 < number <= len(records):
                worker.pid = records[number - 1]["pid"] or _BOOTING

    def new_worker(self, number):
        self.learn_pids()
        self.worker_age += 1
        worker = Worker(self, number, self.worker_age)
        self.workers.append(worker)
        self.current = worker
        return worker

    def forget(self, number, pid, status):
        """A worker that was reaped."""
        self.learn_pids()
        found = next((w for w in self.workers if w.id == number and w.pid == pid), None)
        if found is None:
            found = next((w for w in self.workers if w.id == number and w.pid == _BOOTING), None)
        if found is None:
            found = Worker(self, number, 0)  # of the image before a reload
        else:
            self.workers.remove(found)
        found.pid = pid
        found._alive = False
        found.exit_status = status
        return found


def _recycle():
    """Ends this worker after its request; the server puts its own function here."""


server = Server()


class Request(object):
    """A request, as pre_request and post_request see it."""

    def __init__(self, environ):
        self.environ = environ
        self.method = environ.get("REQUEST_METHOD", "")
        self.uri = environ.get("REQUEST_URI", "")
        self.path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self.query = environ.get("QUERY_STRING", "")
        self.fragment = ""
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.remote_addr = environ.get("REMOTE_ADDR", "")
        self.peer_addr = (self.remote_addr, environ.get("REMOTE_PORT"))
        self.body = environ.get("wsgi.input")
        numbers = environ.get("SERVER_PROTOCOL", "HTTP/1.0").rpartition("/")[2].split(".")
        self.version = tuple(int(n) for n in numbers if n.isdigit())

    @property
    def headers(self):
        found = [(name[5:].replace("_", "-"), value) for name, value in self.environ.items()
                 if name.startswith("HTTP_")]
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if self.environ.get(name):
                found.append((name.replace("_", "-"), self.environ[name]))
        return found


class Response(object):
    """The answer, as post_request sees it."""

    def __init__(self, status, length):
        from http import HTTPStatus
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
        self.status_code = status
        self.status = ("%d %s" % (status, reason)).rstrip()
        self.sent = self.response_length = length
        self.headers_sent = True


_threads = {}


def _request(environ):
    """One object for both hooks of a request: what the first notes on it, the second finds."""
    import threading
    thread = threading.get_ident()
    found = _threads.get(thread)
    if found is None or found.environ is not environ:
        found = Request(environ)
        if _registry["post_request"]:
            _threads[thread] = found
    return found


def _own():
    """The worker that this process is."""
    number = uwsgi.worker_id()
    if server.current is None or server.current.id != number:
        server.current = Worker(server, number, server.worker_age + 1)
    worker = server.current
    if worker.pid != os.getpid():
        worker.pid = os.getpid()
        worker.ppid = os.getppid()
    return worker


def _arguments(name, args):
    """The arguments of a hook, made of the host's numbers."""
    if name == "pre_fork":
        return server, server.new_worker(args[0])
    if name == "child_exit":
        return server, server.forget(*args)
    if name == "nworkers_changed":
        now, before = args
        server.num_workers = now
        return server, now, None if before < 0 else before
    if name in ("post_fork", "worker_exit"):
        return server, _own()
    if name in ("post_worker_init", "worker_int", "worker_abort"):
        worker = _own()
        if name == "post_worker_init":
            worker.booted = True
        else:
            worker._alive = False
            worker.aborted = name == "worker_abort"
        return (worker,)
    if name == "pre_request":
        return _own(), _request(args[0])
    if name == "post_request":
        environ, status, length = args
        return _own(), _request(environ), environ, Response(status, length)
    return (server,)


_done = set()


def _fire(name, *args):
    """Called by the server."""
    if name in ("worker_int", "worker_abort", "worker_exit"):
        # an order may come by a signal and again from the loop
        if (name, os.getpid()) in _done:
            return
        _done.add((name, os.getpid()))
    if name in ("pre_request", "post_request") and not _registry[name]:
        return
    arguments = _arguments(name, args)
    for function, count in _registry[name]:
        try:
            function(*arguments[:count])
        except Exception:
            if name in _FATAL:
                raise
            server.log.exception("Exception in %s hook", name)
    if name == "post_request":
        import threading
        _threads.pop(threading.get_ident(), None)
