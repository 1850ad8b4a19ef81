#!/bin/sh
# Runs tests with the server and the plugins in C built for AddressSanitizer: what reads or writes beyond its memory, or
# after its end, is reported. Plugins in Rust are as usual: a sanitizer pads their stamps. Needs gcc; the compiler of Rust
# may be a stable one, which is asked for its unstable flag.
#
#   asan.sh TARGET-FOLDER [TEST ...]     the folder of an ordinary debug build
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$1" && pwd)
shift
cargo=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
out=$target/asan/$host/debug
tests=${*:-abi frozen stamps plugins plugin_crashes plugin_crashes_kinds plugin_hangs
    plugins_emperor plugins_loop plugins_offload plugins_outward
    plugins_tools plugins_transform rpc signals lua lua_api lua_worker loggers worker_loggers}

$cargo build --workspace --locked
# plugins find the sanitizer in the server; one library of it, not one in each
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Clink-arg=-rdynamic -Cforce-frame-pointers=yes" \
    $cargo build --locked -p rsgi-core --target "$host" --target-dir "$target/asan"
cp -f "$target"/debug/*.so "$target/debug/uwsgiconfig" "$out/"

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
export CFLAGS="-fsanitize=address -nodefaultlibs" LDFLAGS="-lc -lgcc"
# crashes belong to the server's own handlers, and what lives as long as the process is no leak
export ASAN_OPTIONS="detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:\
detect_odr_violation=0:log_path=$reports/report"

# the silence below means something: a plugin that does write beyond its memory is caught
cp "$here/overflow.c" "$reports/"
(cd "$reports" && "$out/uwsgiconfig" --plugin overflow.c > /dev/null && "$out/rsgi" --plugin ./overflow_plugin.so > /dev/null 2>&1) || true
grep -q 'heap-buffer-overflow' "$reports"/report.* || {
    echo "AddressSanitizer does not see the overflow of tests/memory/overflow.c" >&2
    exit 1
}
rm "$reports"/report.*

failed=0
# shellcheck disable=SC2046
$cargo test --locked -p rsgi-tests --target "$host" --target-dir "$target/asan" --no-fail-fast \
    $(printf -- '--test %s ' $tests) || failed=1
if ls "$reports"/report.* > /dev/null 2>&1; then
    cat "$reports"/report.* >&2
    failed=1
fi
[ "$failed" = 0 ] && echo "AddressSanitizer has nothing to report"
exit "$failed"
