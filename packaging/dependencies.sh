#!/bin/sh
# Looks for what the build and the tests need. As root on a system with apt it is installed, otherwise it is named.
set -eu

missing=""
need() { # need PACKAGE TEST...
    package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then missing="$missing $package"; fi
}
has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

need gcc sh -c 'command -v gcc || command -v cc'
need libc6-dev test -e /usr/include/stdio.h
need pkg-config command -v pkg-config
need liblua5.4-dev sh -c 'pkg-config --exists lua5.4 || pkg-config --exists lua54 || pkg-config --exists lua-5.4'
need python3 command -v python3
need libpython3-dev has_library 'libpython3\.'

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing:$missing"
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "missing packages:$missing" >&2
        echo "install them with: apt-get install$missing" >&2
        exit 1
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.88 or newer (apt-get install cargo, or rustup)" >&2
    exit 1
fi
