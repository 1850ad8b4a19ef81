#!/bin/sh
# check.sh FOLDER-OF-PACKAGES ROOT: lintian; then the packages are installed, tried and purged in a Debian that debootstrap
# makes in ROOT (kept for the next time). As root. Nothing runs outside of namespaces that end with this script.
set -eu
cd "$(dirname "$0")/../.."
packages=$(cd "$1" && pwd)
mkdir -p "$2"
root=$(cd "$2" && pwd)
base=$root/base tried=$root/tried
[ "$(id -u)" = 0 ] || { echo "deb-check needs root: it makes a chroot" >&2 && exit 1; }
for tool in lintian debootstrap; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2 && exit 1; }
done

echo "lintian:"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$packages"/*.deb

if [ ! -e "$base/etc/rsgi-base-is-whole" ]; then
    rm -rf "$base"
    # where this system has its own packages from
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
    . /etc/os-release
    debootstrap --variant=minbase --include=systemd,procps,logrotate,gcc,libc6-dev,pkgconf,python3,libpython3.11,liblua5.4-0 \
        "$VERSION_CODENAME" "$base" "$site" >"$root/debootstrap.log" || { tail "$root/debootstrap.log" >&2 && exit 1; }
    touch "$base/etc/rsgi-base-is-whole"
fi
fresh() { # a new copy of the base, with the packages and a script and what it sources in /packages
    rm -rf "$tried"
    cp -a --reflink=auto "$base" "$tried"
    mkdir "$tried/packages"
    cp "$packages"/*.deb packaging/trial.sh packaging/deb/common.sh "packaging/deb/$1" "$tried/packages/"
}
inside() { # inside SCRIPT OPTIONS-OF-UNSHARE
    script=$1
    shift
    unshare --mount --pid --fork --kill-child "$@" sh -c "
        mount -t proc proc '$tried/proc' && mount --rbind /dev '$tried/dev' && ip link set lo up 2>/dev/null
        exec chroot '$tried' /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /packages/$script"
}
# ports of this machine do not matter in a network of its own
fresh try.sh
inside try.sh --net
fresh beside.sh
inside beside.sh

echo "the units, under systemd:"
if command -v systemd-nspawn >/dev/null; then
    fresh boot.sh
    units=$tried/etc/systemd/system
    printf '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/bin/sh /packages/boot.sh\n' >"$units/try.service"
    mkdir -p "$units/multi-user.target.wants"
    ln -sf ../try.service "$units/multi-user.target.wants/try.service"
    timeout 180 systemd-nspawn --quiet -D "$tried" --boot --register=no --keep-unit --private-network \
        --kill-signal=SIGRTMIN+3 >"$root/boot.log" 2>&1 || true
    tail -n 60 "$tried/result"
    [ "$(tail -n 1 "$tried/result")" = good ] || { echo "see $root/boot.log" >&2 && exit 1; }
else
    echo "left out: no systemd-nspawn (apt-get install systemd-container)"
fi
rm -rf "$tried"
