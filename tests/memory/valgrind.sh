#!/bin/sh
# Starts a server with plugins in C and in Rust under valgrind's memcheck, asks it, reloads it and stops it: nothing may
# be read or written where it must not be, and nothing be lost. Needs valgrind and curl; about half a minute.
#
#   valgrind.sh FOLDER     with rsgi, uwsgiconfig and the plugins
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2> /dev/null; rm -rf "$work"' EXIT
cp "$here/../c/crasher.c" "$here/../c/crash.h" "$work/"
cd "$work"
"$bin/uwsgiconfig" --plugin crasher.c > /dev/null
echo 'return function(env) return 200, {}, "from lua" end' > app.lua

ready() {
    for _ in $(seq 300); do
        [ "$(grep -c "spawned rsgi worker 2" log)" -ge "$1" ] && [ -S http.sock ] && return
        sleep 0.2
    done
    cat log >&2
    exit 1
}
ask() {
    for _ in 1 2 3; do curl -sS -m 60 --unix-socket http.sock http://localhost/ | grep -qE "from lua|calm"; done
}
# requests to the plugin in Rust, then to that in C
for modifier1 in 6 203; do
    CRASH=$work/never valgrind --quiet --trace-children=yes --leak-check=full --show-leak-kinds=definite \
        --errors-for-leak-kinds=definite --suppressions="$here/valgrind.supp" --log-file="$work/report.%p" \
        "$bin/rsgi" --plugin ./crasher_plugin.so --lua app.lua --master -p 2 --threads 2 --mule --spooler spool \
        --cache2 name=one,items=10 --metric hits --stats "$work/stats" --log-date --req-logger file:requests.log \
        --http-socket "$work/http.sock" --http-socket-modifier1 "$modifier1" > log 2>&1 &
    server=$!
    ready 1
    ask
    kill -HUP "$server"
    ready 2
    ask
    kill -TERM "$server"
    wait "$server" || { cat log >&2; exit 1; }
    server=
    rm -f http.sock
done

if find . -name 'report.*' -size +0 | grep -q .; then
    cat report.* >&2
    exit 1
fi
echo "valgrind has nothing to report ($(find . -name 'report.*' | wc -l) processes)"
