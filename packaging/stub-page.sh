#!/bin/sh
# stub-page.sh MODULE: the type stubs of a module for applications in Python as a page, section by section.
set -eu
cd "$(dirname "$0")/.."
awk -v module="$1" '
    function open() { if (!inside) { print "```python"; inside = 1 } }
    function shut() { if (inside) { print "```"; inside = 0 } }
    NR == 1 { print "# The module `" module "`\n"; text = 1; sub(/^"""/, "") }
    text { if (sub(/"""$/, "")) text = 0; print; next }
    /^# ---- / { shut(); sub(/^# ---- /, ""); print "\n## " toupper(substr($0, 1, 1)) substr($0, 2) "\n"; next }
    /^$/ && !inside { print; next }
    { open(); print }
    END { shut() }' "plugins/python/stubs/$1.pyi"
