#!/bin/sh
# Requests per second of one worker with one core, kept connections and one connection per request. Needs wrk.
# Figures depend on the machine: compare runs on one machine, made one after the other.
set -eu
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
port=${PORT:-9099}
for bind in http-socket http; do
    target/release/rsgi --$bind 127.0.0.1:"$port" --wsgi-file examples/hello.py --master -p 1 --disable-logging 2>/dev/null &
    pid=$!
    trap 'kill -INT $pid 2>/dev/null || true' EXIT
    i=0
    until wrk -t1 -c1 -d1s "http://127.0.0.1:$port/" 2>/dev/null | grep -q Requests/sec; do
        i=$((i + 1))
        [ $i -lt 50 ] || { echo "the server does not answer" >&2; exit 1; }
        # refused at once while the server starts
        sleep 0.1
    done
    for mode in keep-alive close; do
        printf '%-12s %-11s ' "--$bind" "$mode"
        wrk -t1 -c32 -d5s -H "Connection: $mode" "http://127.0.0.1:$port/" | grep Requests/sec
    done
    kill -INT $pid
    wait $pid || true
done
