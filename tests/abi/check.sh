#!/bin/sh
# Compares the plugin ABI of plugin-api/include/uwsgi.h with the committed baseline: what only grew at the end of a
# struct, or was added, passes; everything else fails. Needs gcc and abigail-tools.
#
#   check.sh [HEADER]     compare (the second word is for trying another header out)
#   check.sh --update     make the current header the baseline: only with a new minor version
set -eu
here=$(cd "$(dirname "$0")" && pwd)
header=$here/../../plugin-api/include/uwsgi.h
case ${1:-} in
    "" | --update) ;;
    *) header=$1 ;;
esac
baseline=$here/uwsgi-h.$(uname -m).abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One function per public struct and per declared function: their parameters carry every type into the debug
# information. The lists come from the header and from
# exports.txt, so that nothing can be forgotten.
cp "$header" "$work/uwsgi.h"
{
    echo '#define RSGI_BARE'
    echo '#include "uwsgi.h"'
    echo '#undef exit'
    sed -nE 's/^(struct|union) (__attribute__\(\([a-z]+\)\) )?([a-z_]+) \{.*/\1 \3/p' "$header" | sort -u |
        while read -r kind name; do echo "void probe_type_$name($kind $name *p) { (void) p; }"; done
    grep -vE '^(#|uwsgi$|$)' "$here/../../core/exports.txt" |
        while read -r name; do echo "void probe_call_$name(__typeof__(&$name) f) { (void) f; }"; done
} > "$work/probe.c"
gcc -std=gnu99 -g -gdwarf-4 -O0 -fPIC -shared -w -I "$work" -o "$work/libuwsgi_h_probe.so" "$work/probe.c"
# only the header's own types: those of libc may differ from system to system
abidw --no-comp-dir-path --no-show-locs --no-corpus-path --no-elf-needed --no-architecture \
    --header-file "$work/uwsgi.h" --drop-private-types --out-file "$work/probe.abi" "$work/libuwsgi_h_probe.so"

if [ "${1:-}" = --update ]; then
    cp "$work/probe.abi" "$baseline"
    echo "wrote $baseline"
    exit 0
fi
if [ ! -f "$baseline" ]; then
    echo "no ABI baseline for $(uname -m): skipped" >&2
    exit 0
fi
refuse() {
    echo "the plugin ABI has changed: 1.x allows new functions and growth at the end of structs, nothing else" >&2
    exit 1
}
abidiff --suppressions "$here/growth.ini" --no-added-syms "$baseline" "$work/probe.abi" || refuse
# The suppression hides what else happened to a struct that it lets grow, so each member is looked at once more.
abidiff --leaf-changes-only --harmless --no-added-syms "$baseline" "$work/probe.abi" > "$work/report" || true
if grep -E "data member deletion|^    .*'[a-z_]+::[a-z0-9_]+'" "$work/report" | grep -v "::reserved'"; then refuse; fi
echo "the plugin ABI is that of the baseline"
