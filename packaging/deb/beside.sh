#!/bin/sh
# Runs inside of the test root: the packages beside Debian's uWSGI, installed before and after it.
set -eu

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
leads() { # leads NAME PROGRAM
    [ "$(readlink -f "/usr/bin/$1")" = "/usr/bin/$2" ] || fail "/usr/bin/$1 leads to $(readlink -f "/usr/bin/$1"), not to $2"
}
uwsgi_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get "$1" -y -qq --no-install-recommends uwsgi-core uwsgi-plugin-python3 >/tmp/apt.log 2>&1
}
names=$(for package in /packages/*.deb; do dpkg-deb --field "$package" Package; done)

echo "beside uWSGI:"
apt-get update -qq >/tmp/apt.log 2>&1 || true
uwsgi_packages install || { echo "left out: Debian's uWSGI cannot be installed" && exit 0; }
dpkg -i /packages/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg -i behind uWSGI"; }
leads uwsgi uwsgi-core
leads uwsgi_python3 uwsgi-core
update-alternatives --set uwsgi /usr/bin/rsgi >/dev/null
leads uwsgi rsgi
# shellcheck disable=SC2086
dpkg --purge $names >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg --purge"; }
leads uwsgi uwsgi-core
uwsgi_packages purge
dpkg -i /packages/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg -i"; }
leads uwsgi_python3 rsgi
uwsgi_packages install || { cat /tmp/apt.log && fail "uWSGI behind rsgi"; }
leads uwsgi uwsgi-core
leads uwsgi_python3 uwsgi-core
# shellcheck disable=SC2086
dpkg --purge $names >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg --purge"; }
leads uwsgi_python3 uwsgi-core
echo "each keeps its names"
