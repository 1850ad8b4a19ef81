# shellcheck shell=sh
# Sourced by what tries installed servers.

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# ask PORT: what / says there, as soon as somebody answers
ask() {
    python3 - "$1" <<'PYTHON'
import sys, time, urllib.request
for _ in range(200):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:%s/" % sys.argv[1], timeout=5).read().decode(), end="")
        break
    except OSError:
        time.sleep(0.1)
PYTHON
}
