#!/bin/sh
# check.sh OUTPUT-FOLDER: rpmbuild packs the binaries of $RELEASE by the spec, out of the tarball that `make dist` has put into
# $SOURCES; rpmlint judges the packages if it is there, and packaging/tree.sh tries what they have. On Debian: apt-get install rpm.
set -eu
cd "$(dirname "$0")/../.."
for tool in rpmbuild rpm2cpio cpio; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install rpm rpm2cpio cpio" >&2 && exit 1; }
done
: "${RELEASE:=target/release}" "${SOURCES:=target}"
RELEASE=$(cd "$RELEASE" && pwd) SOURCES=$(cd "$SOURCES" && pwd)
rm -rf "$1"
mkdir -p "$1"
output=$(cd "$1" && pwd)

build() {
    rpmbuild --nodeps --define "_topdir $output/work" --define "_sourcedir $SOURCES" --define "_rpmdir $output" \
        --define "binaries $RELEASE" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' "$@" \
        -bb packaging/rpm/rsgi.spec >"$output/rpmbuild.log" 2>&1 || { tail "$output/rpmbuild.log" >&2 && exit 1; }
}
# a system without systemd's macros for RPM has none of its folders and scripts either
units=/usr/lib/systemd/system
if [ "$(rpm --eval %_unitdir)" = %_unitdir ]; then
    build --define "_unitdir $units" --define 'systemd_post() :' --define 'systemd_preun() :' \
        --define 'systemd_postun_with_restart() :'
else
    units=$(rpm --eval %_unitdir)
    build
fi
rm -rf "$output/work"
if command -v rpmlint >/dev/null; then
    rpmlint --rpmlintrc packaging/rpm/rpmlintrc "$output"/*.rpm >"$output/rpmlint.log" 2>&1 ||
        { cat "$output/rpmlint.log" && exit 1; }
    tail -n 1 "$output/rpmlint.log"
fi
mkdir "$output/root"
for package in "$output"/*.rpm; do
    rpm2cpio "$package" | (cd "$output/root" && cpio --quiet -idm)
done
export PREFIX=/usr UNITDIR="$units" WEBUSER=nobody SOMODE=755
LIBDIR=$(rpm --eval %_libdir)
export LIBDIR
names=$(sed -n 's/^%global names //p' packaging/rpm/rsgi.spec)
for name in $names; do
    rpm -qlp "$output/$name"-[0-9]*.rpm >"$output/paths"
    packaging/install.sh --folders "$name" | grep -vxFf "$output/paths" >"$output/left" || true
    [ ! -s "$output/left" ] || { echo "FAILED: a removal of $name leaves" && cat "$output/left" && exit 1; } >&2
done
rm "$output/paths" "$output/left"
[ "$(rpm -qp --configfiles "$output"/rsgi-emperor-*.rpm)" = "$(packaging/install.sh --list rsgi-emperor | sed -n 's/^conf //p' | sort)" ] ||
    { echo "FAILED: configuration files of rsgi-emperor" >&2 && exit 1; }
# shellcheck disable=SC2086
packaging/tree.sh "$output/root" $names
rm -rf "$output/root"
