#!/bin/sh
# Runs each fuzz target for SECONDS (default 60). Needs cargo-fuzz and a nightly compiler, or RUSTC_BOOTSTRAP=1.
# Inputs that reach new code are kept below the target folder, next to nothing that is committed; one that breaks a
# rule ends the run, and belongs into fuzz/corpus once it is understood.
set -eu
seconds=${1:-60}
cd "$(dirname "$0")/../core/protocol"
command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
toolchain=""
if rustup toolchain list 2>/dev/null | grep -q nightly; then toolchain="+nightly"; else export RUSTC_BOOTSTRAP=1; fi
found=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
for target in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$target" .rs)
    mkdir -p "$found/$name"
    echo "fuzzing $name for $seconds s"
    # shellcheck disable=SC2086
    cargo $toolchain fuzz run --target-dir "$found/build" "$name" "$found/$name" "fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -max_len=65536
done
