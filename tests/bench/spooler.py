#!/usr/bin/env python3
"""Tasks per second of a spooler with 4 processes and a function that does nothing: with all tasks in the directory
before the start, and with tasks that a worker enqueues meanwhile. rsgi against uWSGI, on one machine, in turn.

    tests/bench/spooler.py [--tasks N] [--rounds N] [--dir DIR] [--rsgi FILE] [--uwsgi FILE] [--loud]
"""
import argparse
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time

APP = """
import uwsgi
def nothing(task):
    return uwsgi.SPOOL_OK
uwsgi.spooler = nothing
def application(env, start_response):
    spool = uwsgi.spool
    for n in range(int(env["QUERY_STRING"] or 0)):
        spool({b"n": b"%d" % n, b"name": b"value"})
    start_response("200 OK", [])
    return [b"enqueued"]
"""


def packet(pairs):
    body = b"".join(struct.pack("<H", len(part)) + part for pair in pairs for part in pair)
    return struct.pack("<BHB", 17, len(body), 0) + body


def is_empty(folder):
    """Of a full directory only the first entries are read: who counts takes a core from those who are measured."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def until(what, ready, patience=120):
    end = time.monotonic() + patience
    while not ready():
        if time.monotonic() > end:
            raise SystemExit("timed out waiting for " + what)
        time.sleep(0.005)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, count):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET /?%d HTTP/1.0\r\n\r\n" % count)
        answer = b""
        while part := s.recv(65536):
            answer += part
    return answer


class Server:
    def __init__(self, argv, folder, port):
        self.log = open(folder + "/log", "w")
        self.process = subprocess.Popen(argv, cwd=folder, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        process_group=0)
        self.port = port

    def wait_answer(self):
        def answers():
            try:
                return get(self.port, 0).endswith(b"enqueued")
            except OSError:
                return False
        until("the server's first answer", answers)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def one_round(options, program, before):
    """Tasks per second; `before`: they lie there at the start, else a worker enqueues them."""
    with tempfile.TemporaryDirectory(prefix="bench-spooler", dir=options.dir) as folder:
        spool = folder + "/spool"
        os.mkdir(spool)
        with open(folder + "/app.py", "w") as f:
            f.write(APP)
        if before:
            for n in range(options.tasks):
                name = "uwsgi_spoolfile_on_bench_1_%d_1_1_1" % n
                with open("%s/%s" % (spool, name), "wb") as f:
                    f.write(packet([(b"n", b"%d" % n), (b"name", b"value")]))
            os.sync()
        port = free_port()
        argv = program + ["--http-socket", "127.0.0.1:%d" % port, "--master", "--wsgi-file", "app.py", "--spooler",
                          spool, "--spooler-processes", "4", "--disable-logging"]
        argv += [] if options.loud else ["--spooler-quiet"]
        server = Server(argv, folder, port)
        try:
            if before:
                # from the first removal: the start of an interpreter is no part of it
                start = os.stat(spool).st_mtime_ns
                until("the first task", lambda: os.stat(spool).st_mtime_ns != start)
                began = time.time()
            else:
                server.wait_answer()
                began = time.time()
                answer = get(port, options.tasks)
                if not answer.endswith(b"enqueued"):
                    raise SystemExit("the worker did not enqueue: %r" % answer)
            until("the last task", lambda: is_empty(spool))
            # the last removal says when it was
            return options.tasks / (os.stat(spool).st_mtime - began)
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", help="where the spool directories are made")
    parser.add_argument("--rsgi", default="target/release/rsgi")
    parser.add_argument("--uwsgi", default=shutil.which("uwsgi") or "")
    parser.add_argument("--loud", action="store_true", help="without spooler-quiet: lines for each task")
    options = parser.parse_args()
    programs = {"rsgi": [os.path.abspath(options.rsgi)]}
    if options.uwsgi:
        programs["uWSGI"] = [options.uwsgi, "--plugin", "python3"]
    for title, before in [("in the directory before the start", True), ("enqueued by a worker meanwhile", False)]:
        rates = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name, program in programs.items():
                rates[name].append(one_round(options, program, before))
        middle = {name: statistics.median(all) for name, all in rates.items()}
        figures = "  ".join("%s %6.0f/s" % pair for pair in middle.items())
        ratio = "  ratio %.2f" % (middle["rsgi"] / middle["uWSGI"]) if "uWSGI" in middle else ""
        print("%-34s %s%s" % (title, figures, ratio), flush=True)


if __name__ == "__main__":
    main()
