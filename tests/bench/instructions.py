#!/usr/bin/env python3
"""Instructions per request, counted by callgrind, against the bounds of instructions.json beside this file.

    tests/bench/instructions.py [--rsgi FILE] [--update] [ROW ...]

What a machine does meanwhile does not move these numbers, so they show what a change costs where seconds cannot. Each
server runs twice under callgrind, for few and for many requests, and the difference counts. Guarded is what the
server's own files execute (the binary and its plugins); the interpreter and the C library depend on the machine and
are printed beside it. A row that exceeds its bound by more than 3 % fails; --update writes the bounds anew.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "10")])
    return [b"Hello", b"World"]
"""
LUA = """
return function(env)
  local function text() coroutine.yield("Hello World") end
  return 200, { ["Content-Type"] = "text/html", ["Content-Length"] = "11" }, coroutine.wrap(text)
end
"""
BOUNDS = Path(__file__).with_name("instructions.json")
FEW, MANY = 100, 600
MARGIN = 1.03
ASK = b"GET / HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\nAccept: */*\r\n%s\r\n"
WSGI = ["--wsgi-file", "app.py", "--disable-logging", "--http-timeout", "600", "--socket-timeout", "600"]
# what is started, and whether each request has a connection of its own
ROWS = {
    "keep-alive": (["--http-socket", "{addr}"], False),
    "connection": (["--http-socket", "{addr}"], True),
    "gateway": (["--http", "{addr}", "--master"], False),
    "static-4k": (["--http-socket", "{addr}", "--static-map", "/={dir}/4k"], False),
    "lua": (["--http-socket", "{addr}", "--http-socket-modifier1", "6", "--lua", "app.lua"], False),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(port, patience=120):
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except OSError:
            if time.monotonic() > end:
                raise SystemExit("the server did not start under callgrind")
            time.sleep(0.1)


def answer(stream):
    """Reads one answer that says how long it is."""
    data = b""
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found and len(body) >= int(re.search(rb"Content-Length: (\d+)", head)[1]):
            assert head.startswith(b"HTTP/1.1 200"), head
            return
        piece = stream.recv(65536)
        assert piece, data
        data += piece


def ask(port, count, closes):
    stream = None if closes else connect(port)
    for _ in range(count):
        if closes:
            stream = connect(port)
        stream.sendall(ASK % (b"Connection: close\r\n" if closes else b""))
        answer(stream)
        if closes:
            stream.close()


def count(files):
    """Instructions by object file: the lines of costs, without those that repeat what a callee costs."""
    names, totals, of, skip = {}, {}, None, False
    for file in files:
        names.clear()
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("ob="):
                number, name = re.match(r"ob=(\(\d+\))(?: (.*))?", line).groups()
                of = names.setdefault(number, name)
            elif line.startswith("cob="):
                number, name = re.match(r"cob=(\(\d+\))(?: (.*))?", line).groups()
                names.setdefault(number, name)
            elif line.startswith("calls="):
                skip = True
            elif cost := re.match(r"[+*-]?\d* (\d+)$", line):
                if not skip:
                    totals[of] = totals.get(of, 0) + int(cost[1])
                skip = False
    return totals


def run(rsgi, command, closes, requests, folder):
    out = folder / f"out.{requests}"
    out.mkdir()
    port = free_port()
    places = {"addr": f"127.0.0.1:{port}", "dir": folder}
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}/%p", "--quiet"]
    server = subprocess.Popen(
        callgrind + [rsgi] + [part.format(**places) for part in command] + WSGI,
        cwd=folder, stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"),
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    try:
        ask(port, 20, closes)  # what is done once is done
        ask(port, requests, closes)
        server.send_signal(signal.SIGINT)
        server.wait(60)
    finally:
        server.kill()
    return count(out.iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rsgi", default="target/release/rsgi")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("row", nargs="*")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is missing: apt-get install valgrind")
    bounds = json.loads(BOUNDS.read_text()) if BOUNDS.exists() else {}
    exceeded = []
    for name in args.row or ROWS:
        command, closes = ROWS[name]
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "app.py").write_text(APP)
            (folder / "app.lua").write_text(LUA)
            (folder / "4k").write_bytes(b"x" * 4096)
            few, many = (run(os.path.abspath(args.rsgi), command, closes, n, folder) for n in (FEW, MANY))
        each = {file: (many[file] - few.get(file, 0)) / (MANY - FEW) for file in many}
        ours = sum(n for file, n in each.items() if file and re.search(r"/(rsgi|\w+_plugin\.so|libpython_abi3\.so|python_abi3\.so)$", file))
        bound = bounds.get(name)
        print(f"{name:12} {ours:8.0f} of ours (bound {bound}), {sum(each.values()):8.0f} in all")
        if args.update:
            bounds[name] = round(ours)
        elif bound is None or ours > bound * MARGIN:
            exceeded.append(f"{name}: {ours:.0f} instructions per request, bound {bound}")
    if args.update:
        BOUNDS.write_text(json.dumps(bounds, indent=2) + "\n")
    elif exceeded:
        raise SystemExit("over the bound:\n  " + "\n  ".join(exceeded))


main()
