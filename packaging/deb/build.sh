#!/bin/sh
# build.sh OUTPUT-FOLDER: Debian packages of the binaries in $RELEASE, with packaging/files as the list of their files.
# The same binaries give the same packages, byte by byte (SOURCE_DATE_EPOCH, else the date of the last commit). Needs
# dpkg-dev. DEB_FLAGS are those of dpkg-deb, MAINTAINER is "Name <address>", DEB_REVISION the packager's number.
set -eu
command -v dpkg-shlibdeps >/dev/null || { echo "dpkg-shlibdeps is missing: apt-get install dpkg-dev" >&2 && exit 1; }
cd "$(dirname "$0")/../.."
output=$1
deb=packaging/deb
: "${RELEASE:=target/release}" "${DEB_FLAGS:=}" "${DEB_REVISION:=1}" "${STRIP:=strip}"
: "${MAINTAINER:=${DEBFULLNAME:-rsgi developers} <${DEBEMAIL:-rsgi@rsgi.invalid}>}"
upstream=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
version=$upstream-$DEB_REVISION
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export RELEASE STRIP SOURCE_DATE_EPOCH PREFIX=/usr LIBDIR=/usr/lib UNITDIR=/usr/lib/systemd/system
PKGCONFIGDIR=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/pkgconfig
export PKGCONFIGDIR ZSHDIR=/usr/share/zsh/vendor-completions
architecture=$(dpkg-architecture -qDEB_HOST_ARCH)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debian" "$output"
sed "s|@MAINTAINER@|$MAINTAINER|;s|@VERSION@|$version|" $deb/control > "$work/debian/control"

stanza() { # stanza PACKAGE: its paragraph of the control file
    awk -v RS= -v package="$1" '$1 == "Package:" && $2 == package' "$work/debian/control"
}

shlibs() { # the libraries that the programs of a tree need, as dependencies
    files=$(find "$1" -type f \( -name '*.so*' -o -path '*/bin/*' \) | sort)
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086
    (cd "$work" && dpkg-shlibdeps --warnings=0 -O $files) | sed 's/^shlibs:Depends=//'
}

package() {
    name=$1 tree=$work/$1
    umask 022
    mkdir -p "$tree/DEBIAN"
    DESTDIR=$tree packaging/install.sh "$name"
    docs=$tree/usr/share/doc/$name
    mkdir -p "$docs"
    # what Debian keeps elsewhere or packed
    rm -f "$docs"/LICENSE-*
    { echo "$name ($version) unstable; urgency=medium" | sed "s/^$name/rsgi/" && printf '\n  * See changelog.gz.\n\n'
      echo " -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"; } | gzip -9n > "$docs/changelog.Debian.gz"
    gzip -9n < CHANGELOG.md > "$docs/changelog.gz"
    sed 's/^$/./;s/^/ /' LICENSE-MIT > "$work/mit"
    sed -e "/@MIT@/r $work/mit" -e /@MIT@/d $deb/copyright > "$docs/copyright"
    [ ! -d "$tree/usr/share/man" ] || find "$tree/usr/share/man" -type f -exec gzip -9n {} +
    packaging/install.sh --list "$name" | sed -n 's/^conf //p' > "$tree/DEBIAN/conffiles"
    [ -s "$tree/DEBIAN/conffiles" ] || rm "$tree/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        [ ! -f "$deb/$name.$script" ] || install -m 755 "$deb/$name.$script" "$tree/DEBIAN/$script"
    done
    case $name in
        lib*)
            echo "${name%[0-9]} ${name##*[a-z]} $name (>= $upstream)" > "$tree/DEBIAN/shlibs"
            echo "activate-noawait ldconfig" > "$tree/DEBIAN/triggers"
            ;;
    esac
    mkdir -p "$tree/usr/share/lintian/overrides"
    sed "s/@PACKAGE@/$name/" $deb/lintian-overrides > "$tree/usr/share/lintian/overrides/$name"
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) > "$tree/DEBIAN/md5sums"
    kind=$(stanza "$name" | sed -n 's/^Architecture: //p')
    [ "$kind" = all ] || kind=$architecture
    needed=$(shlibs "$tree")
    size=$(du -k -s --apparent-size --exclude=DEBIAN "$tree" | cut -f 1)
    { echo "Package: $name" && echo "Source: rsgi" && echo "Version: $version" && echo "Architecture: $kind"
      echo "Maintainer: $MAINTAINER" && echo "Installed-Size: $size" && echo "Priority: optional"
      stanza "$name" | sed -e '/^Package:/d;/^Architecture:/d' -e "s/, \${shlibs:Depends}/${needed:+, $needed}/" \
          -e "s/\${shlibs:Depends}/$needed/" -e '/^Depends: $/d'; } > "$tree/DEBIAN/control"
    find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    # shellcheck disable=SC2086
    dpkg-deb --root-owner-group $DEB_FLAGS --build "$tree" "$output/${name}_${version}_$kind.deb" >/dev/null
    echo "$output/${name}_${version}_$kind.deb"
}

sed -n 's/^Package: //p' "$work/debian/control" > "$work/names"
while read -r name; do
    package "$name"
done < "$work/names"
