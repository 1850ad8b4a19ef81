"""The Python half of ASGI: the event loop of a worker, and the lifespan of its applications. Nothing here is on the path
of a request."""
import asyncio
import sys
import traceback

# seconds for applications to begin to end, and for their tasks to hear that they are cancelled
SHUTDOWN = 30
CANCEL = 5


def make_loop(kind, log):
    if kind in ("auto", "uvloop"):
        try:
            import uvloop
            return uvloop.new_event_loop()
        except ImportError:
            if kind == "uvloop":
                log("--asgi-loop uvloop: there is no uvloop in this Python: pip install uvloop, or say auto")
                return None
    return asyncio.new_event_loop()


class Lifespan:
    """One application's life: its startup and shutdown, and the state that its requests get."""

    def __init__(self, app, how, log):
        self.app, self.how, self.log = app, how, log
        self.state = {}
        self.inbox = asyncio.Queue()
        self.heard = asyncio.Event()   # the answer to startup, or the end
        self.ended = asyncio.Event()
        self.lives = False
        self.failure = None
        self.raised = None

    async def send(self, message):
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.lives = True
            self.heard.set()
        elif kind == "lifespan.startup.failed":
            self.failure = message.get("message") or "no reason given"
            self.heard.set()
        elif kind == "lifespan.shutdown.failed":
            self.log("the ASGI application failed to shut down: %s" % (message.get("message") or "no reason given"))
            self.ended.set()
        elif kind == "lifespan.shutdown.complete":
            self.ended.set()
        else:
            raise ValueError("send(): unexpected message type %r" % kind)

    async def run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self.inbox.get, self.send)
        except BaseException as e:
            self.raised = e
            if self.lives and not isinstance(e, asyncio.CancelledError):
                self.log("".join(traceback.format_exception(type(e), e, e.__traceback__)).rstrip())
        finally:
            self.heard.set()
            self.ended.set()

    async def startup(self):
        """Whether requests may come."""
        if self.how == "off":
            return True
        self.task = asyncio.get_running_loop().create_task(self.run())
        self.inbox.put_nowait({"type": "lifespan.startup"})
        await self.heard.wait()
        if self.failure is not None:
            self.log("the ASGI application does not start: %s" % self.failure)
            return False
        if not self.lives:
            # it knows nothing of lifespans, which is its right, unless the operator says otherwise
            if self.how == "on":
                e = self.raised
                if e is not None:
                    self.log("".join(traceback.format_exception(type(e), e, e.__traceback__)).rstrip())
                self.log("the ASGI application has no lifespan: say --asgi-lifespan auto, or mend it")
                return False
            self.state = None
        return True

    async def shutdown(self):
        if not self.lives or self.ended.is_set():
            return
        self.inbox.put_nowait({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait_for(self.ended.wait(), SHUTDOWN)
        except asyncio.TimeoutError:
            self.log("the ASGI application did not shut down within %d seconds" % SHUTDOWN)


async def end_tasks():
    """Cancels what the applications left behind."""
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL)


def run(apps, kind, how, log, begin, turn):
    """Serves until the worker ends. None: all went well."""
    loop = make_loop(kind, log)
    if loop is None:
        return 1
    asyncio.set_event_loop(loop)
    lives = []

    async def start():
        rows = []
        for app, is_asgi in apps:
            if not is_asgi:
                rows.append((app, False, None))
                continue
            life = Lifespan(app, how, log)
            if not await life.startup():
                return None
            lives.append(life)
            rows.append((app, True, life.state if life.lives else None))
        return rows

    rows = loop.run_until_complete(start())
    if rows is None:
        return 1
    eager = sys.version_info >= (3, 12)
    fd = begin(loop, int(eager), rows)
    loop.add_reader(fd, turn)
    loop.call_soon(turn)
    try:
        loop.run_forever()
    finally:
        loop.remove_reader(fd)
        for life in lives:
            loop.run_until_complete(life.shutdown())
        loop.run_until_complete(end_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
    return None

