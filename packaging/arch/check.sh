#!/bin/sh
# check.sh OUTPUT-FOLDER: makepkg packs the binaries of $RELEASE by the PKGBUILD, pacman unpacks the packages in a folder, and
# packaging/tree.sh tries them there. Needs makepkg, pacman and fakeroot, on Debian: apt-get install makepkg.
set -eu
cd "$(dirname "$0")/../.."
for tool in makepkg pacman fakeroot; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install makepkg" >&2 && exit 1; }
done
: "${RELEASE:=target/release}"
RELEASE=$(cd "$RELEASE" && pwd)
rm -rf "$1"
mkdir -p "$1"
output=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# makepkg does not work as root
user=""
if [ "$(id -u)" = 0 ]; then
    user="setpriv --reuid nobody --regid nogroup --clear-groups"
    chown nobody:nogroup "$work"
fi
# the database of installed packages, which is no part of what is packed
mkdir "$work/known"
chmod 755 "$work" "$work/known"
printf '#!/bin/sh\nexec pacman --dbpath %s "$@"\n' "$work/known" >"$work/pacman"
chmod 755 "$work/pacman"
[ -z "$user" ] || chown -R nobody:nogroup "$work/known"
# shellcheck disable=SC2086
(cd packaging/arch && $user env HOME="$work" TMPDIR="$work" PACMAN="$work/pacman" BUILDDIR="$work/build" PKGDEST="$work" \
    SRCDEST="$work" SRCPKGDEST="$work" LOGDEST="$work" PKGEXT=.pkg.tar.zst RELEASE="$RELEASE" \
    makepkg --repackage --nodeps --nocheck --noconfirm) >"$output/makepkg.log" 2>&1 || { tail "$output/makepkg.log" >&2 && exit 1; }
cp "$work"/*.pkg.tar.zst "$output/"
! grep -E 'WARNING|ERROR' "$output/makepkg.log" | grep -v 'Skipping dependency checks' || exit 1

mkdir "$output/root" "$work/db"
printf '[options]\nArchitecture = auto\nSigLevel = Never\n' >"$work/pacman.conf"
fakeroot pacman --config "$work/pacman.conf" --root "$output/root" --dbpath "$work/db" --cachedir "$work" --hookdir "$work" \
    --gpgdir "$work" --logfile "$output/pacman.log" --noconfirm --noprogressbar -dd -U "$output"/*.pkg.tar.zst >"$output/said.log"
# shellcheck disable=SC2046
PREFIX=/usr WEBUSER=http UNITDIR=/usr/lib/systemd/system \
    packaging/tree.sh "$output/root" $(sed -n 's/^pkgname=(\(.*\))$/\1/p' packaging/arch/PKGBUILD)
rm -rf "$output/root"
