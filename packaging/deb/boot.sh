#!/bin/sh
# Runs as a service of a systemd that has booted in the test root: the units with all their protections. What it says goes
# to /result; the last line is "good" if all is.
exec >/result 2>&1
set -eu
. /packages/common.sh

fail() { # in place of the common one: the journal knows more
    echo "FAILED: $*"
    cat /var/log/rsgi/*.log
    journalctl --no-pager -n 30 -u rsgi-emperor -u rsgi@one
    systemctl poweroff >/dev/null 2>&1
    exit 1
}

install_packages
systemctl is-active --quiet rsgi-emperor || fail "the emperor does not run"
mkdir -p /srv/app
cat >/srv/app/app.py <<'APP'
import os

def application(environ, start_response):
    start_response("200 OK", [])
    try:
        open("/etc/rsgi/written", "w")
        return [b"the system can be written\n"]
    except OSError:
        pass
    with open(os.environ["STATE_DIRECTORY"] + "/written", "w"):
        return [b"uid %d\n" % os.getuid()]
APP
printf '[uwsgi]\nhttp = 127.0.0.1:9090\nwsgi-file = /srv/app/app.py\nprocesses = 2\n' >/etc/rsgi/vassals/app.ini
printf '[uwsgi]\nhttp-socket = 127.0.0.1:9091\nwsgi-file = /srv/app/app.py\nlogto = /var/log/rsgi/one.log\n' >/etc/rsgi/one.ini
systemctl start rsgi@one || fail "rsgi@one does not start"
[ "$(ask 9090)" = "uid 33" ] || fail "the vassal"
[ "$(ask 9091)" = "uid 33" ] || fail "rsgi@one"
systemctl reload rsgi@one
n=0
until grep -q 'killed successfully' /var/log/rsgi/one.log; do
    n=$((n + 1)) && [ $n -lt 200 ] || fail "rsgi@one is not reloaded"
    sleep 0.1
done
[ "$(ask 9091)" = "uid 33" ] || fail "rsgi@one after its reload"
systemctl stop rsgi-emperor rsgi@one
[ "$(systemctl show -P Result rsgi-emperor rsgi@one | sort -u | xargs)" = success ] || fail "a stop"
[ "$(systemctl show -P ExecMainStatus rsgi-emperor rsgi@one | sort -u | xargs)" = 0 ] || fail "the exit code of a stop"
rm -r /etc/rsgi/one.ini /etc/rsgi/vassals/app.ini
end_packages purge
for left in /var/log/rsgi /var/lib/rsgi /etc/rsgi /run/rsgi /etc/systemd/system/multi-user.target.wants/rsgi-emperor.service; do
    [ ! -e $left ] || fail "$left is left"
done
echo good
systemctl poweroff >/dev/null 2>&1
