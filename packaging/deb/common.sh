# shellcheck shell=sh
# Sourced from /packages by the scripts that run inside of the test root.

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

install_packages() {
    dpkg -i /packages/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg -i $*"; }
}

# end_packages remove | purge
end_packages() {
    names=$(for package in /packages/*.deb; do dpkg-deb --field "$package" Package; done)
    # shellcheck disable=SC2086
    dpkg "--$1" $names >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg --$1"; }
}
