"""How exactly a thousand timers keep their period: python3 tests/bench/timers.py [--seconds N] SERVER

SERVER is a command line up to its Python plugin, e.g. "target/release/rsgi --plugin python". 250 signals have four
timers each with a period of one second and a number of iterations; two workers write down when a handler began."""

import argparse
import collections
import os
import shlex
import signal
import subprocess
import tempfile
import time

APP = """
import os, time, uwsgi
ITERATIONS = {seconds}
begun = os.open("begun", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def handle(number):
    os.write(begun, b"%d %d\\n" % (number, time.monotonic_ns()))
for number in range(250):
    uwsgi.register_signal(number, "", handle)
def forked():
    if uwsgi.worker_id() != 1 or os.path.exists("asked"):
        return
    with open("asked", "w") as asked:
        for n in range(1000):
            asked.write("%d %d\\n" % (n % 250, time.monotonic_ns()))
            uwsgi.add_timer(n % 250, 1.0, ITERATIONS)
            time.sleep(0.0007)
uwsgi.post_fork_hook = forked
def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]
"""


def times(path):
    of = collections.defaultdict(list)
    with open(path) as f:
        for line in f:
            number, ns = line.split()
            of[int(number)].append(int(ns))
    return of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("server")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "app.py"), "w") as f:
            f.write(APP.format(seconds=args.seconds))
        command = shlex.split(args.server) + shlex.split(
            "--master --workers 2 --need-app --disable-logging --socket 127.0.0.1:0 --module app --pythonpath ."
        )
        with open(os.path.join(folder, "log"), "w") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        time.sleep(args.seconds + 5)
        server.send_signal(signal.SIGINT)
        server.wait(10)
        asked, begun = times(os.path.join(folder, "asked")), times(os.path.join(folder, "begun"))
    count = sum(map(len, begun.values()))
    print(f"{count:,} signals of {1000 * args.seconds:,}: {'fine' if count == 1000 * args.seconds else 'WRONG'}")
    errors = collections.defaultdict(list)
    for number, when in asked.items():
        due = sorted((t + k * 10**9, k) for t in when for k in range(1, args.seconds + 1))
        for (expected, k), real in zip(due, sorted(begun[number])):
            errors[k].append((real - expected) / 1e6)
    everything = sorted(e for list_ in errors.values() for e in list_)
    mean = lambda values: sum(values) / len(values)
    print(f"late by, ms: mean {mean(everything):.2f}, p99 {everything[len(everything) * 99 // 100]:.2f}, worst {everything[-1]:.2f}")
    print(f"drift: mean of the first period {mean(errors[1]):.2f}, of the last {mean(errors[args.seconds]):.2f} ms")


main()
