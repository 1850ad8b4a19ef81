"""Decorators over the uwsgi module: run after the fork, in a thread, under a deadline."""
import threading
from functools import wraps

import uwsgi

if uwsgi.masterpid() == 0 and not uwsgi.opt.get("master"):
    raise Exception("you have to enable the uWSGI master process to use this module")

postfork_chain = []


def postfork_chain_hook():
    for function in postfork_chain:
        function()


uwsgi.post_fork_hook = postfork_chain_hook


class postfork(object):
    """Run in each forked process, or with postfork(n) in worker n only."""

    def __init__(self, f):
        if callable(f):
            self.wid = 0
            self.f = f
        else:
            self.f = None
            self.wid = f
        postfork_chain.append(self)

    def __call__(self, *args, **kwargs):
        if self.f:
            if self.wid > 0 and self.wid != uwsgi.worker_id():
                return None
            return self.f()
        self.f = args[0]
        return self


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
