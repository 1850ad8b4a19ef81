#!/bin/sh
# Runs inside of the test root: the packages beside Debian's uWSGI, installed before and after it.
set -eu
. /packages/common.sh

leads() { # leads NAME PROGRAM
    [ "$(readlink -f "/usr/bin/$1")" = "/usr/bin/$2" ] || fail "/usr/bin/$1 leads to $(readlink -f "/usr/bin/$1"), not to $2"
}
uwsgi_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get "$1" -y -qq --no-install-recommends uwsgi-core uwsgi-plugin-python3 >/tmp/apt.log 2>&1
}

echo "beside uWSGI:"
apt-get update -qq >/tmp/apt.log 2>&1 || true
uwsgi_packages install || { echo "left out: Debian's uWSGI cannot be installed" && exit 0; }
install_packages behind uWSGI
leads uwsgi uwsgi-core
leads uwsgi_python3 uwsgi-core
update-alternatives --set uwsgi /usr/bin/rsgi >/dev/null
leads uwsgi rsgi
end_packages purge
leads uwsgi uwsgi-core
uwsgi_packages purge
install_packages
leads uwsgi_python3 rsgi
uwsgi_packages install || { cat /tmp/apt.log && fail "uWSGI behind rsgi"; }
leads uwsgi uwsgi-core
leads uwsgi_python3 uwsgi-core
end_packages purge
leads uwsgi_python3 uwsgi-core
echo "each keeps its names"
