#!/bin/sh
# Looks for what the build needs, with `test` also for what the tests need. As root on a system with apt it is
# installed. Otherwise what is missing is named, and only what the build needs is an error: tests that miss a tool
# say that they are skipped.
set -eu
purpose=${1:-build}
rust=1.88

missing=""
useful=""
has() { "$@" >/dev/null 2>&1; }
need() { # need PACKAGE TEST...
    package=$1
    shift
    has "$@" || missing="$missing $package"
}
want() { # the same for tests
    package=$1
    shift
    has "$@" || useful="$useful $package"
}
has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

need gcc sh -c 'command -v gcc || command -v cc'
need libc6-dev sh -c 'echo "#include <stdio.h>" | cc -E -'
need pkg-config command -v pkg-config
need liblua5.4-dev sh -c 'for name in lua5.4 lua54 lua-5.4 "lua >= 5.4 lua < 5.5"; do pkg-config --exists "$name" && exit; done; false'
need python3 command -v python3
need libpython3-dev has_library 'libpython3\.'
if [ "$purpose" = test ]; then
    want g++ command -v g++
    want curl command -v curl
    want dpkg-dev command -v dpkg-shlibdeps
    want groff command -v groff
    want abigail-tools command -v abidiff
    # Debian's package starts the server: only a machine that runs nothing but tests gets it.
    [ -z "${CI:-}" ] || want nginx-light sh -c 'command -v nginx || test -x /usr/sbin/nginx'
    want python3-venv python3 -m ensurepip --version
fi

if [ -n "$missing$useful" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing$useful"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing$useful >/dev/null
elif [ -n "$missing" ]; then
    echo "missing packages:$missing" >&2
    echo "install them with: apt-get install$missing$useful" >&2
    exit 1
elif [ -n "$useful" ]; then
    echo "some tests will be skipped; for all of them: apt-get install$useful"
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust $rust or newer, from https://rustup.rs or your distribution" >&2
    exit 1
fi
version=$(cargo --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n%s\n' "$rust" "$version" | sort -V | head -n 1)" != "$rust" ]; then
    echo "cargo $version is too old: install Rust $rust or newer, from https://rustup.rs or your distribution" >&2
    exit 1
fi
