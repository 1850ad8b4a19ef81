#!/bin/sh
# install.sh [--list | --folders | --remove] PACKAGE...: puts the files of these packages (see packaging/files) beneath
# $DESTDIR, or names them, one line "MODE PATH" each, or the folders that only they are in, or removes them. Reads PREFIX, BINDIR, LIBDIR, SYSCONFDIR, UNITDIR, WEBUSER, SOMODE (of shared objects), RELEASE (the
# folder of the binaries) and, for builds for another machine, RUN_FROM (a folder of the same binaries that run here) and STRIP.
set -eu
cd "$(dirname "$0")/.."

action=install
case ${1:-} in
    --list | --folders | --remove) action=${1#--} && shift ;;
esac
: "${DESTDIR:=}" "${PREFIX:=/usr/local}" "${RELEASE:=target/release}" "${STRIP:=}" "${SOMODE:=644}"
: "${BINDIR:=$PREFIX/bin}" "${LIBDIR:=$PREFIX/lib}" "${INCLUDEDIR:=$PREFIX/include}" "${DATADIR:=$PREFIX/share}"
: "${MANDIR:=$DATADIR/man}" "${DOCDIR:=$DATADIR/doc}" "${PLUGINDIR:=$LIBDIR/rsgi/plugins}"
[ "$PREFIX" = /usr ] && etc=/etc || etc=$PREFIX/etc
: "${PKGCONFIGDIR:=$LIBDIR/pkgconfig}"
: "${ZSHDIR:=$DATADIR/zsh/site-functions}" "${SYSCONFDIR:=$etc}" "${UNITDIR:=$LIBDIR/systemd/system}" "${RUN_FROM:=$RELEASE}"
[ "$PREFIX" = /usr ] && var=/var || var=$PREFIX/var
: "${LOCALSTATEDIR:=$var}" "${WEBUSER:=www-data}"
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
variables="PREFIX BINDIR LIBDIR INCLUDEDIR DATADIR MANDIR DOCDIR PLUGINDIR PKGCONFIGDIR ZSHDIR SYSCONFDIR UNITDIR LOCALSTATEDIR WEBUSER VERSION"

fill() { # every @VARIABLE@ of the input replaced
    script=""
    for variable in $variables; do
        eval "value=\$$variable"
        script="$script;s|@$variable@|$value|g"
    done
    sed "$script"
}

# What the programs print of options must be about the plugins of the list and no others.
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
prepare() {
    [ ! -d "$programs/bin" ] || return 0
    mkdir -p "$programs/bin" "$programs/lib/rsgi/plugins"
    sed -n 's|^[^#].* \(@[^ ]*\) *build:\([^ ]*\)$|\1 \2|p' packaging/files | while read -r to from; do
        case $to in
            @BINDIR@/*) place=$programs/bin/${to##*/} ;;
            @PLUGINDIR@/*) place=$programs/lib/rsgi/plugins/${to##*/} ;;
            *) continue ;;
        esac
        ln "$RUN_FROM/$from" "$place" 2>/dev/null || cp "$RUN_FROM/$from" "$place"
    done
}

# A Cargo.toml of the workspace that stands alone: what it takes from the workspace is written out.
manifest() {
    awk 'FNR == NR { if (/^\[/) part = $0
                     else if (part ~ /^\[workspace\.(package|dependencies)\]/ && / = /) { key = $1; sub(/^[^=]*= /, ""); value[key] = $0 }
                     next }
         /^\[lints\]/ { skip = 1; next }
         /^\[/ { skip = 0 }
         skip { next }
         /^[a-z-]+\.workspace = true/ { key = $1; sub(/\.workspace$/, "", key); print key " = " value[key]; next }
         { print }' Cargo.toml - | sed "s|path = \"plugin-api\"|path = \"$DATADIR/rsgi/plugin-api\"|"
}

put() { # put MODE SOURCE DESTINATION
    mkdir -p "$DESTDIR${3%/*}"
    case $2 in
        build:*)
            install -m "$1" "$RELEASE/${2#build:}" "$DESTDIR$3"
            [ -z "$STRIP" ] || "$STRIP" --strip-unneeded --remove-section=.comment "$DESTDIR$3"
            ;;
        run:*)
            prepare
            # shellcheck disable=SC2086
            (cd / && "$programs"/bin/${2#run:}) > "$DESTDIR$3"
            chmod "$1" "$DESTDIR$3"
            ;;
        print:*)
            # shellcheck disable=SC2086
            ${2#print:} > "$DESTDIR$3"
            chmod "$1" "$DESTDIR$3"
            ;;
        manifest:*)
            manifest < "${2#manifest:}" > "$DESTDIR$3"
            chmod "$1" "$DESTDIR$3"
            ;;
        fill:*)
            fill < "${2#fill:}" > "$DESTDIR$3"
            chmod "$1" "$DESTDIR$3"
            ;;
        *) install -m "$1" "$2" "$DESTDIR$3" ;;
    esac
}

own_folders() { # own_folders PATH: those above it that are ours, the innermost first
    inside=${1%/*}
    while [ "$inside" != "${inside%/rsgi*}" ]; do
        echo "$inside"
        inside=${inside%/*}
    done
}

entry() { # entry MODE DESTINATION SOURCE
    mode=$1 place=$(printf '%s' "$2" | fill) source=$3
    [ "$mode" != so ] || mode=$SOMODE
    case $place in
        */)
            folder=$place
            case $source in
                tree:*)
                    tree=${source#tree:}
                    (cd "$tree" && find . -type f ! -name '*.so' | sed 's|^\./||' | sort) | while read -r file; do
                        origin=$tree/$file
                        [ "${file##*/}" != Cargo.toml ] || origin=manifest:$origin
                        entry "$mode" "$folder$file" "$origin"
                    done
                    return
                    ;;
            esac
            for file in $source; do
                [ -f "$file" ] || { echo "packaging/files: $file: no such file" >&2 && exit 1; }
                entry "$mode" "$folder${file##*/}" "$file"
            done
            return
            ;;
    esac
    case $action:$mode in
        list:*)
            echo "$mode $place"
            return
            ;;
        folders:*)
            own_folders "$place"
            return
            ;;
        remove:conf | remove:dir) return ;;
        remove:*)
            rm -f "$DESTDIR$place"
            own_folders "$place" | while read -r folder; do
                rmdir "$DESTDIR$folder" 2>/dev/null || break
            done
            return
            ;;
    esac
    case $mode in
        dir) mkdir -p "$DESTDIR$place" ;;
        link)
            mkdir -p "$DESTDIR${place%/*}"
            ln -sf "$source" "$DESTDIR$place"
            ;;
        conf) put 644 "$source" "$place" ;;
        *) put "$mode" "$source" "$place" ;;
    esac
}

all() {
    for package in "$@"; do
        grep -q "^$package " packaging/files || { echo "packaging/files: no package $package" >&2 && exit 1; }
        grep "^$package " packaging/files | while read -r _ mode place source; do
            entry "$mode" "$place" "$source"
        done
    done
}
case $action in
    folders) all "$@" | sort -u ;;
    *) all "$@" ;;
esac
