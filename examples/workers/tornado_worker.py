"""A tornado application in each worker:

    rsgi --master --processes 4 --socket :8080 --python-worker-override tornado_worker.py
"""
import asyncio
import os
import signal

import uwsgi
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from listening import sockets


class Index(RequestHandler):
    def get(self):
        self.write("Hello from worker process %d\n" % os.getpid())


async def main():
    server = HTTPServer(Application([("/", Index)]))
    listening = sockets()
    for sock in listening:
        sock.setblocking(False)
    server.add_sockets(listening)
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, leave.set)
    uwsgi.accepting()
    while not leave.is_set():
        uwsgi.notify_alive()
        try:
            await asyncio.wait_for(leave.wait(), 1)
        except asyncio.TimeoutError:
            pass
    server.stop()
    await asyncio.wait_for(server.close_all_connections(), 30)


asyncio.run(main())
