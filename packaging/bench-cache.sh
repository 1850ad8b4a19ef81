#!/bin/bash
# Caches under four workers, from Python: mixed get and update of 100-byte values under 10 000 keys, rsgi and uWSGI in
# turn, the best of each round by round, and the ratio.
#   packaging/bench-cache.sh [BINARY [PLUGINS_DIR [ROUNDS]]]      uWSGI is left out when it is not installed
set -eu
rsgi=${1:-${CARGO_TARGET_DIR:-target}/release/rsgi}
plugins=${2:-$(dirname "$rsgi")}
rounds=${3:-5}
work=$(mktemp -d)
server=0
trap 'kill -9 $server 2>/dev/null || true; rm -rf "$work"' EXIT
cat > "$work/app.py" <<'PYTHON'
import random, time, os, uwsgi
def application(env, start_response):
    q = dict(p.split("=") for p in env["QUERY_STRING"].split("&"))
    value, share, rnd = b"v" * 100, float(q["sets"]), random.Random(os.getpid())
    plan = [("key%d" % rnd.randrange(10000), rnd.random() < share) for _ in range(5000)]
    get, update = uwsgi.cache_get, uwsgi.cache_update
    for key, _ in plan: update(key, value)
    while time.time() < float(q["at"]): time.sleep(0.001)
    ops, begin = 0, time.monotonic()
    while time.monotonic() < begin + 2:
        for key, is_set in plan:
            if is_set: update(key, value)
            else: get(key)
        ops += len(plan)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d\n" % (ops / (time.monotonic() - begin), os.getpid())]
PYTHON
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# operations per second of all workers; nothing when one of them got two of the requests
measure() { # NAME SETS COMMAND...
    local name=$1 sets=$2 port at
    shift 2
    port=$(port)
    "$@" --http-socket "127.0.0.1:$port" --wsgi-file "$work/app.py" --master -p 4 --disable-logging \
        --cache2 name=one,items=20000,blocksize=128 > "$work/$name.log" 2>&1 &
    server=$!
    for _ in $(seq 50); do curl -s -o /dev/null "http://127.0.0.1:$port/none" && break; sleep 0.1; done
    at=$(($(date +%s) + 2))
    local clients=()
    for n in 1 2 3 4; do
        curl -s "http://127.0.0.1:$port/?sets=$sets&at=$at" > "$work/out.$n" &
        clients+=($!)
        sleep 0.2
    done
    wait "${clients[@]}"
    kill -INT $server 2>/dev/null || true
    for _ in $(seq 30); do kill -0 $server 2>/dev/null || break; sleep 0.1; done
    kill -9 $server 2>/dev/null || true
    cat "$work"/out.? | awk '{ sum += $1; pids[$2] = 1 } END { for (p in pids) n++; if (n == 4) print sum }'
}
best() { sort -n | tail -n 1; }
printf '%-28s %14s %14s %7s\n' "operations/s, 4 workers" rsgi uWSGI ratio
for sets in 0.5 0.2 0.05; do
    : > "$work/rsgi" && : > "$work/uwsgi"
    for _ in $(seq "$rounds"); do
        measure r "$sets" "$rsgi" --plugins-dir "$plugins" --plugin python >> "$work/rsgi"
        if command -v uwsgi > /dev/null; then
            measure u "$sets" uwsgi --plugin python3 >> "$work/uwsgi"
        fi
    done
    ours=$(best < "$work/rsgi") theirs=$(best < "$work/uwsgi")
    ratio=$(awk -v a="${ours:-0}" -v b="${theirs:-0}" 'BEGIN { if (b > 0) printf "%.2f", a / b; else print "-" }')
    printf '%-28s %14s %14s %7s\n' "sets $sets" "${ours:--}" "${theirs:--}" "$ratio"
done
