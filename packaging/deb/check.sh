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
rm -rf "$tried"
cp -a --reflink=auto "$base" "$tried"
mkdir "$tried/packages"
cp "$packages"/*.deb "$tried/packages/"
cp packaging/deb/try.sh "$tried/packages/"
# a network of its own, too: ports of this machine do not matter
unshare --mount --pid --net --fork --kill-child sh -c "
    mount -t proc proc '$tried/proc' && mount --rbind /dev '$tried/dev' && ip link set lo up 2>/dev/null
    exec chroot '$tried' /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /packages/try.sh"
rm -rf "$tried"
