"""uvicorn in each worker:

    rsgi --master --processes 4 --socket :8080 --python-worker-override uvicorn_worker.py --pyargv app:asgi
"""
import asyncio
import contextlib
import signal

import uvicorn
import uwsgi

from listening import application, sockets


class Server(uvicorn.Server):
    def capture_signals(self):
        return contextlib.nullcontext()  # the handlers below are those of a worker

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        if self.started:
            uwsgi.accepting()

    async def on_tick(self, counter):
        if counter % 10 == 0:
            uwsgi.notify_alive()  # for --worker-heartbeat; ten ticks are a second
        return await super().on_tick(counter)


async def main():
    server = Server(uvicorn.Config(application("app:asgi"), log_level="warning", timeout_graceful_shutdown=30))
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, server.handle_exit, sig, None)
    await server.serve(sockets=sockets())


asyncio.run(main())
