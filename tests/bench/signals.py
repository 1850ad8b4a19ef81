"""How many uWSGI signals a second a server handles, how late, and whether any is lost when workers are killed.

    python3 tests/bench/signals.py [--total N] [--kill SECONDS] SERVER [SERVER ...]

SERVER is a command line up to its Python plugin, e.g. "target/release/rsgi --plugin python" or
"uwsgi --plugin python3". Four workers, two mules and a spooler raise N signals in all for a mule, for any worker and
for a farm, as fast as they are accepted; each process counts in memory of its own file what it raised and handled.
With --kill SECONDS the pace is slower, and one worker is killed with -9 each time so many have passed."""

import argparse
import mmap
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time

APP = r'''
import mmap, os, struct, threading, time, uwsgi
SHARE = {share}
PACE = {pace}
area = mmap.mmap(os.open({counts!r}, os.O_RDWR), 0)

# eight numbers a process: attempted, accepted, refused, handled, latency samples, their place
def slot():
    kind = uwsgi.worker_id() or (10 + uwsgi.mule_id() if uwsgi.mule_id() else 15)
    return kind * 64

def get(at): return struct.unpack_from('<q', area, at)[0]
def put(at, value): struct.pack_into('<q', area, at, value)

def handle(number):
    at = slot() + 24
    put(at, get(at) + 1)

def late(number):
    # one at a time: the raiser waits for the answer
    put(4096, time.monotonic_ns() - get(4104))

for number, target in enumerate({targets!r}):
    uwsgi.register_signal(number + 1, target, handle)
uwsgi.register_signal(99, '', late)

def flood():
    at, n = slot(), len({targets!r})
    while get(4112) == 0:
        time.sleep(0.01)
    done = get(at + 8)
    while done < SHARE:
        # killed between the two counts, the signal may have been accepted or not
        put(at, get(at) + 1)
        try:
            uwsgi.signal(done % n + 1)
        except OSError:
            put(at + 16, get(at + 16) + 1)
            time.sleep(0.001)
            continue
        done += 1
        put(at + 8, done)
        if PACE and done % 64 == 0:
            time.sleep(PACE)

def ping():
    while get(4112) == 0:
        time.sleep(0.01)
    if get(4120) or uwsgi.worker_id() != 1:
        return
    for i in range(500):
        time.sleep(0.002)
        put(4096, 0)
        put(4104, time.monotonic_ns())
        uwsgi.signal(99)
        for _ in range(1000):
            if get(4096):
                break
            time.sleep(0.0002)
        struct.pack_into('<q', area, 8192 + 8 * i, get(4096))
    put(4120, 1)

def forked():
    threading.Thread(target={job}, daemon=True).start()
uwsgi.post_fork_hook = forked

def application(environ, start_response):
    start_response('200 OK', [])
    return [b'']
'''

RAISERS = [1, 2, 3, 4, 11, 12, 15]


class Run:
    """One server with one job, in a folder of its own."""

    def __init__(self, server, job, share, targets, pace=0):
        self.folder = tempfile.TemporaryDirectory()
        path = self.folder.name
        self.counts = os.path.join(path, "counts")
        with open(self.counts, "wb") as f:
            f.write(bytes(16384))
        self.area = mmap.mmap(os.open(self.counts, os.O_RDWR), 0)
        with open(os.path.join(path, "app.py"), "w") as f:
            f.write(APP.format(share=share, pace=pace, counts=self.counts, targets=targets, job=job))
        os.mkdir(os.path.join(path, "spool"))
        self.log = open(os.path.join(path, "log"), "w+")
        command = shlex.split(server) + shlex.split(
            "--master --workers 4 --mules 2 --farm both:1,2 --spooler spool --enable-threads --signal-bufsize 1048576 "
            "--need-app --disable-logging --socket 127.0.0.1:0 --module app --pythonpath ."
        )
        self.process = subprocess.Popen(command, cwd=path, stdout=self.log, stderr=self.log, start_new_session=True)

    def number(self, at):
        return struct.unpack_from("<q", self.area, at)[0]

    def sum(self, field):
        return sum(self.number(kind * 64 + 8 * field) for kind in range(16))

    def start(self):
        for _ in range(200):
            if len(re.findall(r"spawned (?:uWSGI|rsgi) (?:worker|mule) \d|spawned the \w+ spooler", self.text())) >= 7:
                break
            time.sleep(0.05)
        else:
            sys.exit("the server did not start:\n" + self.text())
        time.sleep(0.5)
        struct.pack_into("<q", self.area, 4112, 1)

    def text(self):
        with open(self.log.name) as f:
            return f.read()

    def workers(self):
        """Pids of the workers that are alive, by the last line that names each."""
        pids = {}
        pattern = r"(?:spawned|Respawned) (?:uWSGI|rsgi) worker (\d+) \((?:new )?pid: (\d+)"
        for worker, pid in re.findall(pattern, self.text()):
            pids[worker] = int(pid)
        return list(pids.values())

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def flood(server, total, kill_every):
    targets = ["mule1", "", "farm_both", "worker2"]
    run = Run(server, "flood", total // len(RAISERS), targets, 0.01 if kill_every else 0)
    try:
        run.start()
        begun = last = ended = time.monotonic()
        killed, before, quiet = 0, 0, 0
        while quiet < 30 and ended - begun < 300:
            time.sleep(0.1)
            handled = run.sum(3)
            quiet = quiet + 1 if handled == before else 0
            if quiet == 0:
                ended = time.monotonic()
            before = handled
            if kill_every and quiet == 0 and time.monotonic() - last >= kill_every:
                last = time.monotonic()
                pids = run.workers()
                try:
                    os.kill(pids[killed % len(pids)], signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
        seconds = ended - begun
        attempted, accepted, refused, handled = (run.sum(field) for field in range(4))
        print(f"  {handled / seconds:>10,.0f}/s: handled {handled:,} of {accepted:,} accepted, {refused:,} refused, {seconds:.1f} s")
        if kill_every:
            reported = len(re.findall(r"signal \d+ is lost", run.text()))
            # between two counts of a process that was killed lies one signal at most, on either side
            least, most = accepted, attempted + killed
            fine = least <= handled + reported <= most
            print(
                f"  {killed} workers killed; handled + reported lost: {handled:,} + {reported}, which must be from "
                f"{least:,} to {most:,}: {'fine' if fine else 'WRONG'}"
            )
        return handled / seconds
    finally:
        run.stop()


def latency(server):
    run = Run(server, "ping", 0, [])
    try:
        run.start()
        for _ in range(600):
            if run.number(4120):
                break
            time.sleep(0.1)
        samples = sorted(filter(None, (run.number(8192 + 8 * i) for i in range(500))))
        print(f"  latency: median {samples[len(samples) // 2] / 1000:.0f} us, p99 {samples[len(samples) * 99 // 100] / 1000:.0f} us ({len(samples)} of 500)")
        return samples[len(samples) // 2]
    finally:
        run.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--total", type=int, default=1_000_000)
    parser.add_argument("--kill", type=float, default=0, metavar="SECONDS")
    parser.add_argument("servers", nargs="+")
    args = parser.parse_args()
    rates, medians = [], []
    for server in args.servers:
        print(server)
        rates.append(flood(server, args.total, args.kill))
        if not args.kill:
            medians.append(latency(server))
    for server, rate in list(zip(args.servers, rates))[1:]:
        print(f"throughput: {rates[0] / rate:.2f} x {server}")
    for server, median in list(zip(args.servers, medians))[1:]:
        print(f"median latency: {medians[0] / median:.2f} x {server}")


main()
