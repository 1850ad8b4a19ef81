#!/bin/sh
# tree.sh ROOT PACKAGE...: whether the packages that a package manager has unpacked in ROOT are whole: each file of
# packaging/files is there, and no other; the server of the tree serves with the plugins of the tree; a plugin and a program
# with librsgi are built with nothing else. Folders come from the environment, as those of install.sh.
set -eu
cd "$(dirname "$0")/.."
. packaging/trial.sh
root=$1
shift
work=$(mktemp -d)
pids=""
# shellcheck disable=SC2154,SC2086
trap 'status=$?; kill -KILL $pids 2>/dev/null || true; rm -rf "$work"; exit $status' EXIT

packaging/install.sh --list "$@" >"$work/list"
sed -n 's/^dir //p' "$work/list" | while read -r folder; do
    [ -d "$root$folder" ] || fail "no folder $folder"
done
# manual pages are packed or not; RPM adds links for debuggers
unpacked() { sed -e '/\/man\/man/s/\.gz$//' -e '/^\/usr\/lib\/\.build-id\//d' | sort; }
sed -e '/^dir /d' -e 's/^[^ ]* //' "$work/list" | unpacked >"$work/wanted"
(cd "$root" && find . ! -type d) | sed 's/^\.//' | unpacked >"$work/found"
diff "$work/wanted" "$work/found" || fail "the lines with < are missing, those with > are in no list"
while read -r mode path; do
    case $mode in
        [0-7][0-7][0-7]) ;;
        *) continue ;;
    esac
    [ -e "$root$path" ] || path=$path.gz
    [ "$(stat -c %a "$root$path")" = "$mode" ] || fail "$path has the mode $(stat -c %a "$root$path"), not $mode"
done <"$work/list"
echo "$(wc -l <"$work/found") files, as in packaging/files"

place() { # place NAME: the folder of a file of the list, in ROOT
    echo "$root$(sed -n "s|^[^ ]* \(.*\)/$1\$|\1|p" "$work/list" | head -n 1)"
}
port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
serves() { # serves ANSWER PROGRAM ARGUMENTS: behind --http, and to a TERM
    answer=$1 port=$(port)
    shift
    "$@" --plugins-dir "$(place http_plugin.so)" --http "127.0.0.1:$port" >"$work/log" 2>&1 &
    server=$!
    pids="$pids $server"
    [ "$(ask "$port")" = "$answer" ] || { cat "$work/log" && fail "no $answer from $*"; }
    kill -TERM $server
    wait $server || { cat "$work/log" && fail "$* ended with $?"; }
}

cat >"$work/app.py" <<'APP'
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"python"]
APP
printf 'return function() return 200, {}, coroutine.wrap(function() coroutine.yield("lua") end) end\n' >"$work/app.lua"
rsgi=$(place rsgi)/rsgi
serves python "$rsgi" --wsgi-file "$work/app.py"
serves lua "$rsgi" --lua "$work/app.lua" --http-modifier1 6
echo "it serves"

"$(place uwsgiconfig)/uwsgiconfig" --plugin "$(place foobar.c)/foobar.c" --output "$work" >/dev/null
"$rsgi" --plugin "$work/foobar_plugin.so" 2>&1 | grep -q "Hello World" || fail "foobar_plugin.so does not load"
printf '#include <rsgi.h>\nint main(int c, char **v, char **e) { return uwsgi_init(c, v, e); }\n' >"$work/own.c"
PKG_CONFIG_PATH=$(place librsgi.pc) PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
# shellcheck disable=SC2046
gcc -Wall -Werror -o "$work/own" "$work/own.c" $(pkg-config --cflags --libs librsgi)
# shellcheck disable=SC2046
gcc -shared -fPIC -o "$work/second_plugin.so" "$(place foobar.c)/foobar.c" $(pkg-config --cflags rsgi)
readelf -d "$work/own" | grep -q 'NEEDED.*\[librsgi\.so\.1\]' || fail "the program does not need librsgi.so.1"
LD_LIBRARY_PATH=$(place librsgi.so.1) serves python "$work/own" --plugin "$work/second_plugin.so" --wsgi-file "$work/app.py"
echo "plugins and programs are built with it"
