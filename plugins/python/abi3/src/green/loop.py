"""The Python half of `--gevent` and `--asyncio`: WSGI requests in greenlets on an event loop. An engine says how a
greenlet begins, how it waits, and how the loop wakes it; everything here runs in the worker's main thread."""
import os


class Gevent:
    def __init__(self, turn):
        import gevent
        import gevent.event
        import gevent.hub
        gevent.reinit()
        self.gevent, self.turn = gevent, turn
        self.hub = gevent.get_hub()
        self.getcurrent = gevent.getcurrent
        self.waiter = gevent.hub.Waiter
        self.waiting = {}
        self.running = {}
        self.stopped = gevent.event.Event()

    def run(self, fd):
        watcher = self.hub.loop.io(fd, 1)
        watcher.start(self.ready)
        self.soon()
        self.stopped.wait()
        watcher.stop()
        watcher.close()

    def ready(self):
        outcome = self.turn()
        if outcome == 1:
            self.stopped.set()
        elif outcome == 2:
            self.soon()

    def soon(self):
        self.hub.loop.run_callback(self.ready)

    def spawn(self, function, *args):
        return self.gevent.spawn(function, *args)

    def begin(self, function, request):
        self.running[request] = self.gevent.spawn(function, request)

    def end(self, request):
        self.running.pop(request, None)

    def wait(self, request):
        waiter = self.waiting[request] = self.waiter()
        try:
            waiter.get()
        finally:
            self.waiting.pop(request, None)

    def wake(self, request):
        waiter = self.waiting.get(request)
        if waiter is not None:
            self.hub.loop.run_callback(waiter.switch, None)

    def late(self, request):
        greenlet = self.running.get(request)
        if greenlet is not None:
            greenlet.kill(TimeoutError("the request is over its time (--harakiri)"), block=False)

    def sleep(self, seconds):
        self.gevent.sleep(seconds)

    def wait_descriptors(self, wanted, seconds):
        waiter = self.waiter()
        loop = self.hub.loop
        watchers = [(loop.io(fd, reads + 2 * writes), fd) for fd, reads, writes in wanted]
        if seconds is not None:
            watchers.append((loop.timer(seconds), -1))
        try:
            for watcher, outcome in watchers:
                watcher.start(waiter.switch, outcome)
            return waiter.get()
        finally:
            for watcher, _ in watchers:
                watcher.stop()
                watcher.close()


class Asyncio:
    def __init__(self, turn):
        import asyncio
        import greenlet
        self.asyncio, self.greenlet, self.turn = asyncio, greenlet.greenlet, turn
        self.getcurrent = greenlet.getcurrent
        self.main = greenlet.getcurrent()
        self.waiting = {}
        self.running = {}
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def run(self, fd):
        self.loop.add_reader(fd, self.ready)
        self.soon()
        self.loop.run_forever()
        self.loop.remove_reader(fd)

    def ready(self):
        outcome = self.turn()
        if outcome == 1:
            self.loop.stop()
        elif outcome == 2:
            self.soon()

    def soon(self):
        self.loop.call_soon(self.ready)

    def spawn(self, function, *args):
        greenlet = self.greenlet(function, self.main)
        self.loop.call_soon(greenlet.switch, *args)
        return greenlet

    def begin(self, function, request):
        self.running[request] = self.spawn(function, request)

    def end(self, request):
        self.running.pop(request, None)

    def wait(self, request):
        self.waiting[request] = self.getcurrent()
        try:
            self.main.switch()
        finally:
            self.waiting.pop(request, None)

    def wake(self, request):
        greenlet = self.waiting.pop(request, None)
        if greenlet is not None:
            self.loop.call_soon(greenlet.switch)

    def late(self, request):
        greenlet = self.running.get(request)
        if greenlet:
            self.loop.call_soon(greenlet.throw, TimeoutError, TimeoutError("the request is over its time (--harakiri)"))

    def sleep(self, seconds):
        self.until(seconds, [])

    def wait_descriptors(self, wanted, seconds):
        return self.until(seconds, wanted)

    def until(self, seconds, wanted):
        me, outcome, copies = self.getcurrent(), [], []

        def ready(fd):
            if not outcome:
                outcome.append(fd)
                me.switch()
        timer = None if seconds is None else self.loop.call_later(seconds, ready, -1)
        try:
            for fd, reads, writes in wanted:
                # a descriptor of our own: somebody else may have a reader or a writer for the other
                copies.append(os.dup(fd))
                if reads:
                    self.loop.add_reader(copies[-1], ready, fd)
                if writes:
                    self.loop.add_writer(copies[-1], ready, fd)
            while not outcome:
                self.main.switch()
        finally:
            if timer is not None:
                timer.cancel()
            for copy in copies:
                self.loop.remove_reader(copy)
                self.loop.remove_writer(copy)
                os.close(copy)
        return outcome[0]


ENGINES = {"gevent": Gevent, "asyncio": Asyncio}


def make(name, turn):
    return ENGINES[name](turn)


def monkey_patch():
    from gevent import monkey
    monkey.patch_all()
