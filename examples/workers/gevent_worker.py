"""gevent's WSGI server in each worker:

    rsgi --master --processes 4 --socket :8080 --python-worker-override gevent_worker.py --pyargv app:wsgi
"""
from gevent import monkey

monkey.patch_all()

import os
import signal

import gevent
import uwsgi
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from listening import application

leave = Event()
for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    gevent.signal_handler(sig, leave.set)

app = application("app:wsgi")
servers = []
for fd in uwsgi.sockets:
    sock = gevent.socket.socket(fileno=os.dup(fd))
    sock.setblocking(False)
    servers.append(WSGIServer(sock, app, log=None))
for server in servers:
    server.start()
uwsgi.accepting()
while not leave.wait(1):
    uwsgi.notify_alive()
for server in servers:
    server.stop(timeout=30)  # no more connections; those in work get their answers
