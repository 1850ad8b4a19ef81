"""A worker class of gunicorn in each worker, without gunicorn's master:

    rsgi --master --processes 4 --socket :8080 --python-worker-override gunicorn_worker.py --pyargv "app:wsgi gthread"

The second word is what `gunicorn -k` takes: sync, gthread, gevent, or the path of a class.
"""
import os
import signal
import socket
import sys

import uwsgi
from gunicorn.app.base import BaseApplication
from gunicorn.sock import TCP6Socket, TCPSocket, UnixSocket

from listening import application


class Application(BaseApplication):
    def load_config(self):
        self.cfg.set("worker_class", sys.argv[2] if len(sys.argv) > 2 else "sync")
        self.cfg.set("threads", 4)

    def load(self):
        return application("app:wsgi")


def listeners(app):
    kinds = {socket.AF_INET: TCPSocket, socket.AF_INET6: TCP6Socket, socket.AF_UNIX: UnixSocket}
    for fd in uwsgi.sockets:
        with socket.socket(fileno=os.dup(fd)) as sock:
            family, address = sock.family, sock.getsockname()
        yield kinds[family](address, app.cfg, log, fd=os.dup(fd))


app = Application()
log = app.cfg.logger_class(app.cfg)


class Worker(app.cfg.worker_class):
    def notify(self):
        uwsgi.notify_alive()

    def init_signals(self):
        super().init_signals()
        signal.signal(signal.SIGHUP, self.handle_exit)  # rsgi's word for "finish, then leave"

    def run(self):
        uwsgi.accepting()
        super().run()


worker = Worker(uwsgi.worker_id(), os.getppid(), list(listeners(app)), app, 30, app.cfg, log)
worker.init_process()
