"""An aiohttp application in each worker:

    rsgi --master --processes 4 --socket :8080 --python-worker-override aiohttp_worker.py
"""
import asyncio
import os
import signal

import uwsgi
from aiohttp import web

from listening import sockets


async def index(request):
    return web.Response(text="Hello from worker process %d\n" % os.getpid())


async def echo(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type == web.WSMsgType.TEXT:
            await ws.send_str(message.data)
    return ws


async def main():
    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/echo", echo)
    runner = web.AppRunner(app, shutdown_timeout=30)
    await runner.setup()
    listening = sockets()
    for sock in listening:
        await web.SockSite(runner, sock).start()
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
    for sock in listening:
        loop.remove_reader(sock)  # no more connections; a server that is closed would drop those just accepted
    await asyncio.sleep(0.1)
    await runner.cleanup()  # those in work get their answers


asyncio.run(main())
