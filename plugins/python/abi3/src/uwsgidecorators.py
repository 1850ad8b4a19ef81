"""Decorators over the uwsgi module: after-fork work, signals, timers, cron, file monitors, spooler, mules, locks."""
import os
import pickle
import sys
import threading
import traceback
from functools import wraps

import uwsgi

if uwsgi.masterpid() == 0:
    raise Exception("you have to enable the uWSGI master process to use this module")

spooler_functions = {}
mule_functions = {}
postfork_chain = []


# ---- after the fork

def postfork_chain_hook():
    for function in list(postfork_chain):
        function()


uwsgi.post_fork_hook = postfork_chain_hook


class postfork(object):
    """Bare: run in every worker, mule and spooler. postfork(n): in worker n only."""

    def __init__(self, f):
        if callable(f):
            self.wid, self.f = 0, f
        else:
            self.wid, self.f = f, None
        postfork_chain.append(self)

    def __call__(self, *args, **kwargs):
        if self.f is None:
            self.f = args[0]
            return self
        if not self.wid or self.wid == uwsgi.worker_id():
            return self.f()
        return None


# ---- signals

def get_free_signal():
    for number in range(256):
        if not uwsgi.signal_registered(number):
            return number
    raise Exception("No free uwsgi signal available")


class _signalled(object):
    """What the signal decorators share: a number (the first free one unless given) and a target."""

    def __init__(self, signum, target):
        self.signum = get_free_signal() if signum is None else signum
        self.target = target

    def arm(self):
        pass

    def __call__(self, f):
        uwsgi.register_signal(self.signum, self.target, f)
        self.arm()
        return f


class signal(_signalled):
    def __init__(self, num, **kwargs):
        super(signal, self).__init__(num, kwargs.get("target", ""))
        self.num = num


class timer(_signalled):
    def __init__(self, secs, **kwargs):
        super(timer, self).__init__(kwargs.get("signum"), kwargs.get("target", ""))
        self.secs = secs

    def arm(self):
        uwsgi.add_timer(self.signum, self.secs)


class rbtimer(timer):
    def arm(self):
        uwsgi.add_rb_timer(self.signum, self.secs)


class cron(_signalled):
    def __init__(self, minute, hour, day, month, dayweek, **kwargs):
        super(cron, self).__init__(kwargs.get("signum"), kwargs.get("target", ""))
        self.when = (minute, hour, day, month, dayweek)

    def arm(self):
        uwsgi.add_cron(self.signum, *self.when)


class filemon(_signalled):
    def __init__(self, fsobj, **kwargs):
        super(filemon, self).__init__(kwargs.get("signum"), kwargs.get("target", ""))
        self.fsobj = fsobj

    def arm(self):
        uwsgi.add_file_monitor(self.signum, self.fsobj)


# ---- spooler

def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value):
    """As text where it is text: a body may be anything."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


def manage_spool_request(task):
    """uwsgi.spooler: finds the decorated function that a task belongs to and calls it."""
    task = {_text(k): v for k, v in task.items()}
    function = spooler_functions[_text(task.pop("ud_spool_func"))]
    default = task.pop("ud_spool_ret", None)
    if "args" in task and "kwargs" in task:
        result = function(*pickle.loads(task.pop("args")), **pickle.loads(task.pop("kwargs")))
    else:
        result = function({k: _text(v) for k, v in task.items()})
    return int(_text(default)) if default is not None else result


class _spooled(object):
    """A decorated function: calling it, or its .spool(), enqueues a task."""

    def __init__(self, f, pass_arguments, ret):
        self.f = f
        self.pass_arguments = pass_arguments
        self.ret = ret
        self.__name__ = getattr(f, "__name__", "spooled")
        spooler_functions[self.__name__] = f
        f.spool = self.spool

    def spool(self, *args, **kwargs):
        special = {}
        if self.pass_arguments:
            for key in ("spooler", "priority", "at", "body"):
                if key in kwargs:
                    special[key] = kwargs.pop(key)
            fields = {"args": pickle.dumps(args), "kwargs": pickle.dumps(kwargs)}
        else:
            fields = dict(args[0]) if args else dict(kwargs)
        fields.update(special)
        fields["ud_spool_func"] = self.__name__
        if self.ret is not None:
            fields["ud_spool_ret"] = self.ret
        return uwsgi.spool({_bytes(k): _bytes(v) for k, v in fields.items()})

    def __call__(self, *args, **kwargs):
        return self.spool(*args, **kwargs)


def _spool_decorator(ret):
    def decorator(f=None, pass_arguments=False):
        if "spooler" not in uwsgi.opt:
            raise Exception("you have to enable the uWSGI spooler to use this decorator")
        if f is None:
            return lambda real: _spooled(real, pass_arguments, ret)
        return _spooled(f, pass_arguments, ret)
    return decorator


spool = _spool_decorator(uwsgi.SPOOL_OK)
spoolforever = _spool_decorator(uwsgi.SPOOL_RETRY)
spoolraw = _spool_decorator(None)

if "spooler" in uwsgi.opt:
    uwsgi.spooler = manage_spool_request


# ---- mules and farms

def mule_msg_dispatcher(message):
    message = pickle.loads(message)
    if message["service"] == "uwsgi_mulefunc":
        return mule_functions[message["func"]](*message["args"], **message["kwargs"])


uwsgi.mule_msg_hook = mule_msg_dispatcher


class mulefunc(object):
    """Bare, (mule) or (farm): the call is made in a mule."""

    def __init__(self, f):
        if callable(f):
            self.fname, self.mule = f.__name__, 0
            mule_functions[f.__name__] = f
        else:
            self.fname, self.mule = None, f

    def real_call(self, *args, **kwargs):
        call = {"service": "uwsgi_mulefunc", "func": self.fname, "args": args, "kwargs": kwargs}
        uwsgi.mule_msg(pickle.dumps(call), self.mule)

    def __call__(self, *args, **kwargs):
        if self.fname is None:
            self.fname = args[0].__name__
            mule_functions[self.fname] = args[0]
            return self.real_call
        return self.real_call(*args, **kwargs)


class _loop(object):
    """What a mule does instead of waiting for messages: it runs in the mule's main thread, after all that a fork is
    followed by."""

    def __init__(self, is_here, run):
        self.is_here = is_here
        self.run = run

    def __call__(self):
        if not self.is_here():
            return
        try:
            self.run()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


def _loops_last():
    # a loop does not return, and the rest of the chain is not to wait for it
    postfork_chain.sort(key=lambda function: isinstance(function, _loop))


def _for_ever(step):
    while True:
        step()


def _for_each(get, f):
    def step():
        message = get()
        if message:
            f(message)
    _for_ever(step)


class _in_mule(object):
    def __init__(self, num):
        self.num = num

    def __call__(self, f):
        postfork_chain.append(_loop(lambda: uwsgi.mule_id() == self.num, lambda: self.run(f)))
        _loops_last()
        return f


class mule(_in_mule):
    """Once, in mule n."""

    def run(self, f):
        f()


class muleloop(_in_mule):
    """Again and again, in mule n."""

    def run(self, f):
        _for_ever(f)


class mulemsg(_in_mule):
    """For each message, in mule n."""

    def run(self, f):
        _for_each(uwsgi.mule_get_msg, f)


class farm(object):
    """For each message to the farm, in the farm's mules."""

    def __init__(self, name=None, **kwargs):
        self.name = name

    def __call__(self, f):
        def is_here():
            return uwsgi.mule_id() and (uwsgi.in_farm() if self.name is None else uwsgi.in_farm(self.name))
        postfork_chain.append(_loop(is_here, lambda: _for_each(uwsgi.farm_get_msg, f)))
        _loops_last()
        return f


# ---- round a call

def lock(f):
    """User lock 0 round each call; in the spooler, which has no locks, nothing is called."""
    @wraps(f)
    def wrapper(*args, **kwargs):
        if uwsgi.i_am_the_spooler():
            return None
        uwsgi.lock()
        try:
            return f(*args, **kwargs)
        finally:
            uwsgi.unlock()
    return wrapper


def thread(f):
    """Each call runs in a daemon thread of its own."""
    @wraps(f)
    def wrapper(*args):
        t = threading.Thread(target=f, args=args)
        t.daemon = True
        t.start()
        return t
    return wrapper


class harakiri(object):
    """A deadline in seconds round each call."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, f):
        @wraps(f)
        def wrapper(*args, **kwargs):
            uwsgi.set_user_harakiri(self.seconds)
            try:
                return f(*args, **kwargs)
            finally:
                uwsgi.set_user_harakiri(0)
        return wrapper


class rpc(object):
    """Offers the function to uwsgi.rpc() under a name."""

    def __init__(self, name):
        self.name = name

    def __call__(self, f):
        uwsgi.register_rpc(self.name, f)
        return f
