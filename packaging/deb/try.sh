#!/bin/sh
# Runs inside of the test root: installs /packages/*.deb, uses what they bring, removes and purges them.
set -eu
. /packages/common.sh

state() { # every file that is not the package manager's, what is in those of /etc, and what the package manager knows
    find / -xdev \( -path /proc -o -path /dev -o -path /sys -o -path /tmp -o -path /run -o -path /packages \
        -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log/dpkg.log -o -path /var/log/alternatives.log -o -path /var/lib/logrotate \) \
        -prune -o -printf '%M %u:%g %p %l\n' | sort
    find /etc -xdev -type f -exec md5sum {} + | sort
    # users and groups by their own words: a line more is told as one
    getent passwd
    getent group
    find /var/lib/dpkg/alternatives -type f -exec grep -H . {} + | sort
    dpkg-query --show
    dpkg-statoverride --list || true
    dpkg-divert --list
    sort /var/lib/dpkg/triggers/File
}

echo "install:"
state >/tmp/before
install_packages
rsgi --version
[ "$(uwsgi --version)" = "$(rsgi --version)" ] || fail "/usr/bin/uwsgi is not rsgi"

echo "units:"
systemd-analyze verify --man=no /usr/lib/systemd/system/rsgi-emperor.service /usr/lib/systemd/system/rsgi@.service
systemd-analyze security --offline=true --no-pager rsgi-emperor.service 2>/dev/null | tail -n 1

echo "the unit's command starts a vassal:"
mkdir -p /srv/app
cat >/srv/app/app.py <<'APP'
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"vassal\n"]
APP
printf '[uwsgi]\nhttp = 127.0.0.1:9090\nwsgi-file = /srv/app/app.py\nprocesses = 2\n' >/etc/rsgi/vassals/app.ini
install -d -o www-data -g www-data /run/rsgi /var/log/rsgi /var/lib/rsgi
command=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/rsgi-emperor.service)
# shellcheck disable=SC2086
setpriv --reuid www-data --regid www-data --clear-groups --no-new-privs --bounding-set -all $command &
emperor=$!
[ "$(ask 9090)" = vassal ] || { cat /var/log/rsgi/* && fail "the vassal does not answer"; }
logrotate -f /etc/logrotate.d/rsgi-emperor
[ -s /var/log/rsgi/emperor.log.1 ] || fail "logrotate did not rotate"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    ask 9090 >/dev/null
    [ ! -s /var/log/rsgi/emperor.log ] || break
    sleep 1
done
[ -s /var/log/rsgi/emperor.log ] || fail "the log does not go on after its rotation"
kill -TERM $emperor
wait $emperor || fail "the emperor ended with $?"
[ -z "$(pgrep -x rsgi || true)" ] || fail "processes are left"
# vassals are the administrator's: purge leaves them
rm -r /etc/rsgi/vassals/app.ini /srv/app /run/rsgi

echo "a plugin is built and loaded:"
cd /tmp
cp /usr/share/doc/rsgi-dev/examples/foobar.c .
uwsgiconfig --plugin foobar.c
rsgi --plugin ./foobar_plugin.so 2>&1 | grep -q "Hello World" || fail "foobar_plugin.so does not load"
printf 'function run() return 200, {}, coroutine.wrap(function() coroutine.yield("lua\\n") end) end\nreturn run\n' >/tmp/app.lua
uwsgi_lua --http-socket 127.0.0.1:9091 --http-socket-modifier1 6 --lua /tmp/app.lua >/tmp/lua.log 2>&1 &
lua=$!
[ "$(ask 9091)" = lua ] || { cat /tmp/lua.log && fail "uwsgi_lua does not answer"; }
kill -TERM $lua
wait $lua || fail "uwsgi_lua ended with $?"

echo "a program with librsgi:"
printf '#include <rsgi.h>\nint main(int c, char **v, char **e) { return uwsgi_init(c, v, e); }\n' >/tmp/own.c
# shellcheck disable=SC2046
gcc -Wall -Werror -o /tmp/own /tmp/own.c $(pkg-config --cflags --libs librsgi)
ldd /tmp/own | grep -q 'librsgi\.so\.1 => /' || fail "the program does not find librsgi.so.1"
/tmp/own --http-socket 127.0.0.1:9092 --http-socket-modifier1 6 --lua /tmp/app.lua >/tmp/own.log 2>&1 &
own=$!
[ "$(ask 9092)" = lua ] || { cat /tmp/own.log && fail "the program does not answer"; }
kill -TERM $own
wait $own || fail "the program ended with $?"

echo "install over it, remove, purge:"
install_packages over themselves
[ "$(readlink -f /usr/bin/uwsgi)" = /usr/bin/rsgi ] || fail "an upgrade loses /usr/bin/uwsgi"
end_packages remove
[ ! -e /usr/bin/uwsgi ] || fail "a removal leaves /usr/bin/uwsgi"
[ -f /etc/rsgi/emperor.ini ] || fail "a removal takes the configuration"
end_packages purge
state >/tmp/after
diff /tmp/before /tmp/after || fail "the lines with > are left, those with < are lost"
echo "nothing is left"
