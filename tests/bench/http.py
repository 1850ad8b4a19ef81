#!/usr/bin/env python3
"""Requests per second, CPU per request and 99th percentile of one worker, beside its peers, row by row.

    tests/bench/http.py [--rsgi FILE] [--peers VENV] [--rounds N] [--seconds N] [--only a,b] [ROW ...]

Each round runs every server once, in turn, so that what the machine does meanwhile hits all alike; figures are medians.
None means anything alone: read the ratios. CPU is that of the server's processes, without the load generator; where
the generator or the kernel is the limit, it tells servers apart. Needs wrk; a peer that is not installed is left out
(tests/bench/peers.sh installs them).
"""
import argparse
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = '''
BIG = b"x" * 65536
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/big":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", "65536")])
        return [BIG]
    if path == "/post":
        body = b"%d" % len(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "10")])
    return [b"Hello", b"World"]
'''
POST = 'wrk.method="POST"; wrk.body=string.rep("a",16384); wrk.headers["Content-Type"]="application/octet-stream"'
NGINX = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on; default_type text/plain;
  open_file_cache off; client_body_temp_path {dir}/{name}; proxy_temp_path {dir}/{name}; fastcgi_temp_path {dir}/{name};
  uwsgi_temp_path {dir}/{name}; scgi_temp_path {dir}/{name};
  server {{ listen {addr} backlog=4096; location / {{ {location} }} }} }}
"""
WSGI = "--wsgi-file {dir}/app.py --master --processes 1 --disable-logging"
IDLE = 10_000


class Row:
    """What is measured: how each server is started, what is asked, and the least ratio to each peer."""

    def __init__(self, text, servers, path="/", arguments=(), scheme="http", connections=32, least=None):
        self.text, self.servers, self.path, self.scheme = text, servers, path, scheme
        self.arguments, self.connections, self.least = list(arguments), connections, least or {}


def rows(args):
    rsgi, peers = args.rsgi, args.peers
    uwsgi = "uwsgi --plugin http,python3" if shutil.which("uwsgi") else None
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    workers = {
        "rsgi": f"{rsgi} --http-socket {{addr}} {WSGI}",
        "uwsgi": uwsgi and f"{uwsgi} --http-socket {{addr}} {WSGI} --post-buffering 65536",
        "fastwsgi": f"{peers}/bin/python -c \"import fastwsgi,app; fastwsgi.run(wsgi_app=app.application,"
        "host='127.0.0.1',port={port},loglevel=0)\"",
        "granian": f"{peers}/bin/granian --interface wsgi --host 127.0.0.1 --port {{port}} --workers 1 --no-ws "
        "--no-access-log app:application",
        "gunicorn": f"{peers}/bin/gunicorn -w 1 -b {{addr}} app:application",
    }
    if args.only:
        workers = {name: command for name, command in workers.items() if name in args.only.split(",")}
    pick = lambda *names: {name: workers[name] for name in names if name in workers}
    gateway = pick("granian") | {
        "rsgi": f"{rsgi} --http {{addr}} {WSGI}",
        "uwsgi": uwsgi and f"{uwsgi} --http {{addr}} --http-keepalive {WSGI}",
    }
    tls = {
        "rsgi": f"{rsgi} --https {{addr}},{{dir}}/cert.pem,{{dir}}/key.pem {WSGI}",
        "granian": f"{workers.get('granian')} --ssl-certificate {{dir}}/cert.pem --ssl-keyfile {{dir}}/key.pem",
    }
    files = {
        "rsgi": f"{rsgi} --http-socket {{addr}} --static-map /files={{dir}}/files {WSGI}",
        "nginx": f"{nginx} -e {{dir}}/static.log -c {{dir}}/static.conf",
        "uwsgi": uwsgi and f"{uwsgi} --http-socket {{addr}} --http-keepalive --static-map /files={{dir}}/files {WSGI}",
    }
    behind = {
        "rsgi": f"{rsgi} --socket {{back}} {WSGI}",
        "uwsgi": uwsgi and f"{uwsgi} --socket {{back}} {WSGI}",
    }
    close = ["-H", "Connection: close"]
    post = ["-s", "{dir}/post.lua"]
    return {
        "keepalive": Row("hello world, keep-alive", workers, least={"fastwsgi": 1.0, "uwsgi": 3.8, "granian": 2.0}),
        "close": Row("hello world, a connection per request", workers, arguments=close, least={"uwsgi": 0.97}),
        "gateway": Row("through the gateway, keep-alive", gateway, least={"uwsgi": 3.0, "granian": 1.0}),
        "big": Row("64 KiB response", pick("rsgi", "fastwsgi", "granian", "uwsgi"), "/big", least={"fastwsgi": 1.0}),
        "post": Row("16 KiB POST", pick("rsgi", "fastwsgi", "granian", "uwsgi"), "/post", post, least={"fastwsgi": 1.0}),
        "nginx": Row("behind nginx uwsgi_pass", behind, least={"uwsgi": 1.2}),
        "static4k": Row("static 4 KiB", files, "/files/4k", least={"nginx": 0.9}),
        "static1m": Row("static 1 MiB", files, "/files/1m", least={"nginx": 0.9}),
        "https": Row("HTTPS keep-alive", tls, scheme="https", least={"granian": 1.0}),
        "idle": Row(f"{IDLE} idle clients and load", {"rsgi": workers["rsgi"]}),
        "p99": Row("99th percentile at 70 % of each peer's load", workers),
    }


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes(group):
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                yield int(entry), int(fields[11]) + int(fields[12])


def cpu(group):
    return sum(ticks for _, ticks in processes(group)) / os.sysconf("SC_CLK_TCK")


def memory(group):
    """KiB of private memory of the group's largest process: the worker."""
    sizes = []
    for pid, _ in processes(group):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes.append(sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M)))
    return max(sizes)


class Server:
    """A server that runs while the `with` lasts, in a process group of its own."""

    def __init__(self, name, command, folder, row):
        self.port, back = free_port(), free_port()
        self.front = None
        places = {"addr": f"127.0.0.1:{self.port}", "port": self.port, "back": f"127.0.0.1:{back}", "dir": folder}
        if "{back}" in command:
            self.front = self.nginx(folder, "front", places["addr"], f"include /etc/nginx/uwsgi_params; uwsgi_pass {places['back']};")
        if "static.conf" in command:
            self.configure(folder, "static", places["addr"], f"root {folder};")
        self.log = open(f"{folder}/{name}.out", "ab")
        self.process = self.start(command.format(**places), folder)
        self.path, self.scheme = row.path, row.scheme

    @staticmethod
    def configure(folder, name, addr, location):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        text = NGINX.format(dir=folder, name=name, addr=addr, location=location)
        Path(f"{folder}/{name}.conf").write_text(text)

    def nginx(self, folder, name, addr, location):
        self.configure(folder, name, addr, location)
        self.log = open(f"{folder}/{name}.out", "ab")
        return self.start(f"nginx -e {folder}/{name}.log -c {folder}/{name}.conf", folder)

    def start(self, command, folder):
        path = os.environ["PATH"] + ":/usr/sbin"
        return subprocess.Popen(
            shlex.split(command), cwd=folder, stdout=self.log, stderr=self.log, start_new_session=True,
            env=os.environ | {"PATH": path},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in filter(None, (self.process, self.front)):
            for order in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, order)
                    process.wait(3)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass

    def answers(self, patience=15):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.5) as s:
                    if self.scheme == "https":
                        return True
                    s.sendall(f"GET {self.path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
                    if b"200" in s.recv(64):
                        return True
            except OSError:
                pass
            time.sleep(0.05)
        return False

    def load(self, row, args, folder, arguments=(), connections=None):
        command = ["wrk", "-t1", f"-c{connections or row.connections}", f"-d{args.seconds}s", "--latency"]
        command += [part.format(dir=folder) for part in row.arguments] + list(arguments)
        before = cpu(self.process.pid)
        url = f"{row.scheme}://127.0.0.1:{self.port}{row.path}"
        out = subprocess.run(command + [url], capture_output=True, text=True, timeout=args.seconds + 30).stdout
        took = cpu(self.process.pid) - before
        slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
        count = int(re.search(r"(\d+) requests in", out)[1])
        bad = re.search(r"Non-2xx[^\d]*(\d+)", out)
        return {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p99": float(slow[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[slow[2]],
            "cpu": took * 1e6 / max(count, 1),
            "bad": int(bad[1]) if bad else 0,
        }


def measure(row, args, folder, one):
    """Medians of each server that answers, over all rounds."""
    found = {}
    for _ in range(args.rounds):
        for name, command in row.servers.items():
            if not command or not shutil.which(shlex.split(command)[0], path=os.environ["PATH"] + ":/usr/sbin"):
                continue
            with Server(name, command, folder, row) as server:
                if server.answers():
                    found.setdefault(name, []).append(one(server, name))
                else:
                    print(f"  {name} did not answer", file=sys.stderr)
    return {name: {key: statistics.median(r[key] for r in all) for key in all[0]} for name, all in found.items()}


def compare(row, args, folder):
    medians = measure(row, args, folder, lambda server, _: server.load(row, args, folder))
    missed = []
    for name, it in sorted(medians.items(), key=lambda pair: -pair[1]["rate"]):
        bad = f"  {it['bad']:.0f} BAD" if it["bad"] else ""
        print(f"  {name:9} {it['rate']:9.0f}/s  {it['cpu']:6.1f} us CPU  p99 {it['p99']:7.2f} ms{bad}")
    for peer, least in row.least.items():
        if peer in medians and "rsgi" in medians:
            rate = medians["rsgi"]["rate"] / medians[peer]["rate"]
            work = medians["rsgi"]["cpu"] / max(medians[peer]["cpu"], 1e-9)
            verdict = "" if rate >= least else "   <-- below"
            missed += [f"{row.text}: {rate:.2f} x {peer}"] if verdict else []
            print(f"  {rate:.2f} x {peer}'s rate (at least {least}), {work:.2f} x its CPU{verdict}")
    return missed


def idle(row, args, folder):
    """The same load with and without clients that are kept and quiet, and what such a client costs the worker."""

    def one(server, _):
        alone = server.load(row, args, folder)
        before, clients = memory(server.process.pid), []
        for _ in range(IDLE):
            s = socket.create_connection(("127.0.0.1", server.port))
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            s.recv(1024)
            clients.append(s)
        size = (memory(server.process.pid) - before) * 1024 / IDLE
        among = server.load(row, args, folder)
        for s in clients:
            s.close()
        return {"size": size, "rate": among["rate"] / alone["rate"], "cpu": among["cpu"] / alone["cpu"]}

    it = measure(row, args, folder, one)["rsgi"]
    print(f"  {it['rate']:.2f} x the rate without them, {it['cpu']:.2f} x the CPU, {it['size']:.0f} bytes per client")
    return ["idle clients: more than 1 KiB each"] if it["size"] >= 1024 else []


def percentile(row, args, folder):
    """Each peer at 70 % of what it does at full load, and rsgi under the same load: clients that pause for 10 ms between
    requests."""
    missed = []
    for peer in [name for name in row.servers if name != "rsgi"]:
        full, slow, it = None, {peer: [], "rsgi": []}, None
        for _ in range(args.rounds):
            for name in (peer, "rsgi"):
                command = row.servers.get(name)
                if not command or not shutil.which(shlex.split(command)[0]):
                    continue
                with Server(name, command, folder, row) as server:
                    if not server.answers():
                        continue
                    if full is None:
                        full = server.load(row, args, folder)["rate"]
                    clients = max(int(full * 0.7 * 0.010), 1)
                    it = server.load(row, args, folder, ["-s", f"{folder}/pause.lua"], clients)
                    slow[name].append(it["p99"])
        if not slow[peer] or not slow["rsgi"]:
            continue
        theirs, ours = statistics.median(slow[peer]), statistics.median(slow["rsgi"])
        verdict = "   <-- above" if ours > theirs else ""
        print(f"  {it['rate']:9.0f}/s  p99 {ours:7.2f} ms, {peer} {theirs:7.2f} ms{verdict}")
        missed += [f"p99: {peer} has {theirs:.2f} ms, rsgi {ours:.2f}"] if verdict else []
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rsgi", default="target/release/rsgi")
    parser.add_argument("--peers", default="target/peers", help="the virtual environment of peers.sh")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", help="these servers, by name, with a comma between")
    parser.add_argument("row", nargs="*")
    args = parser.parse_args()
    args.rsgi, args.peers = os.path.abspath(args.rsgi), os.path.abspath(args.peers)
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    table = rows(args)
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # nginx's worker is another user
        Path(folder, "app.py").write_text(APP)
        Path(folder, "post.lua").write_text(POST)
        Path(folder, "pause.lua").write_text("function delay() return 10 end")
        os.mkdir(f"{folder}/files")
        Path(folder, "files/4k").write_bytes(b"x" * 4096)
        Path(folder, "files/1m").write_bytes(b"x" * (1 << 20))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
             "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
            check=True, capture_output=True,
        )
        for name in args.row or table:
            row = table.get(name) or sys.exit(f"there is no row {name}: there are {', '.join(table)}")
            print(f"{name}: {row.text}", flush=True)
            missed += {"idle": idle, "p99": percentile}.get(name, compare)(row, args, folder)
            sys.stdout.flush()
    if missed:
        raise SystemExit("below the aim:\n  " + "\n  ".join(missed))


main()
