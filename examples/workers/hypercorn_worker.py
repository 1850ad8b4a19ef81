"""hypercorn in each worker:

    rsgi --master --processes 4 --socket :8080 --python-worker-override hypercorn_worker.py --pyargv app:asgi
"""
import asyncio
import os
import signal

import uwsgi
from hypercorn.asyncio import serve
from hypercorn.config import Config

from listening import application


async def beat():
    while True:
        uwsgi.notify_alive()
        await asyncio.sleep(1)


async def main():
    config = Config()
    config.bind = ["fd://%d" % os.dup(fd) for fd in uwsgi.sockets]
    config.graceful_timeout = 30
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, leave.set)
    alive = asyncio.create_task(beat())
    uwsgi.accepting()  # the sockets listen already: who comes now waits a moment at most
    await serve(application("app:asgi"), config, shutdown_trigger=leave.wait)
    alive.cancel()


asyncio.run(main())
