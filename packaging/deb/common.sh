# shellcheck shell=sh
# Sourced from /packages by the scripts that run inside of the test root.
. /packages/trial.sh

install_packages() {
    dpkg -i /packages/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg -i $*"; }
}

# end_packages remove | purge
end_packages() {
    names=$(for package in /packages/*.deb; do dpkg-deb --field "$package" Package; done)
    # shellcheck disable=SC2086
    dpkg "--$1" $names >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log && fail "dpkg --$1"; }
}
