#!/bin/sh
# docs.sh RSGI OUTPUT-FOLDER: the documentation as a site. Pages are those of docs/, references are printed by the server.
set -eu
cd "$(dirname "$0")/.."
rsgi=$1 output=$2
command -v mdbook >/dev/null || { echo "mdbook is missing: cargo install mdbook --locked" >&2 && exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cp docs/*.md "$work/src/"
cp docs/book.toml "$work/"
cp CHANGELOG.md "$work/src/changelog.md"
plugins=$(cd "$(dirname "$rsgi")" && pwd)
for page in options refused api; do
    "$rsgi" --plugins-dir "$plugins" --reference $page > "$work/src/$page.md"
done
for module in uwsgi uwsgidecorators; do
    packaging/stub-page.sh $module > "$work/src/$module.md"
done
rm -rf "$output"
mkdir -p "$output"
mdbook build "$work" --dest-dir "$(cd "$output" && pwd)"
echo "$output/index.html"
