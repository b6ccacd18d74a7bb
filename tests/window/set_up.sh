#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A Blender with a window and a screen for it, for tests/window: tests/window/set_up.sh FOLDER
#
# Writes FOLDER/run, which runs a program where that Blender is: FOLDER/run blender, FOLDER/run Xvfb; and FOLDER/Inter.woff2,
# the typeface that it writes in. That is this system where it has a Blender of 4.2 or later or can install one; else
# Debian 13, which is put into FOLDER/root. A second call does nothing. What it cannot do it says in one sentence, with
# exit status 1.
set -eu

OLDEST=4.2
SUITE=trixie
# Blender draws with Mesa's software renderer. Of its own needs it names NumPy as a recommendation only.
PACKAGES=(blender python3-numpy xvfb libgl1-mesa-dri)

lacking() {
    echo "set_up.sh: $1" >&2
    exit 1
}

at_least() { [ "$(printf '%s\n' "$OLDEST" "$1" | sort -V | head -n 1)" = "$OLDEST" ]; }

is_root() { [ "$(id -u)" = 0 ]; }

of_this_system() {
    command -v Xvfb > /dev/null && command -v blender > /dev/null || return 1
    at_least "$(blender --version 2> /dev/null | sed -n 's/^Blender \([0-9.]*\).*/\1/p')"
}

offered_by_this_system() {
    command -v apt-cache > /dev/null || return 1
    local version
    version=$(apt-cache policy blender 2> /dev/null | sed -n 's/^ *Candidate: *\([0-9][0-9.]*\).*/\1/p')
    [ -n "$version" ] && at_least "$version"
}

# Debian's mirror, as this machine's own sources name it; nothing where it is no Debian: then debootstrap knows one.
mirror() {
    [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2> /dev/null |
        grep -E '^(deb |URIs:)' | grep -oE '(https?|file|copy)://[^ ]*/debian/?( |$)' | head -n 1 || true
}

write_run() {
    printf '#!/bin/sh\n# Written by set_up.sh.\n%s\n' "$1" > "$folder/run"
    chmod +x "$folder/run"
    local fonts='import bpy; print("FONTS", bpy.utils.system_resource("DATAFILES", path="fonts"))'
    fonts=$("$folder/run" blender --background --factory-startup --python-expr "$fonts" 2> /dev/null | sed -n 's/^FONTS //p')
    "$folder/run" cat "$fonts/Inter.woff2" > "$folder/Inter.woff2" || {
        rm -f "$folder/run"
        lacking "the Blender that was found does not start, or has another typeface than Inter."
    }
    echo "Blender $("$folder/run" blender --version 2> /dev/null | sed -n 's/^Blender \([0-9.]*\).*/\1/p') is ready: $folder/run"
}

[ $# = 1 ] || lacking "say into which folder."
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ! -x "$folder/run" ] || exit 0

export DEBIAN_FRONTEND=noninteractive
if ! of_this_system && is_root && command -v apt-get > /dev/null; then
    apt-get update -qq > "$folder/log" 2>&1 || true
    if offered_by_this_system; then
        apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >> "$folder/log" 2>&1 ||
            lacking "this system's packages cannot be installed: see $folder/log."
    fi
fi
if of_this_system; then
    write_run 'exec "$@"'
    exit 0
fi

what="this system has no Blender $OLDEST or later with a screen for it (packages ${PACKAGES[*]})"
[ "$(uname -s)" = Linux ] || lacking "$what, and Debian's can be set up on Linux only."
is_root || lacking "$what, and only root can set up Debian's in a folder."
unshare --mount true 2> /dev/null || lacking "$what, and this container may not mount folders, as Debian's would need."
if ! command -v debootstrap > /dev/null; then
    apt-get install -y -qq --no-install-recommends debootstrap >> "$folder/log" 2>&1 ||
        lacking "$what, and debootstrap, which would set up Debian's, is missing."
fi
rm -rf "$folder/root"
# In a mount namespace of their own, so that nothing stays mounted in a folder that somebody may remove. Packages that are
# lost in a crash of the machine are installed again, so nothing waits for the disk.
# shellcheck disable=SC2016
unshare --mount --propagation private sh -euc '
    root=$1 suite=$2 mirror=$3
    shift 3
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" $mirror
    echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    printf "path-exclude /usr/share/%s/*\n" doc man locale icons > "$root/etc/dpkg/dpkg.cfg.d/lean"
    mount -t proc proc "$root/proc"
    chroot "$root" apt-get install -y -qq --no-install-recommends "$@"
    chroot "$root" apt-get clean
' sh "$folder/root" "$SUITE" "$(mirror)" "${PACKAGES[@]}" >> "$folder/log" 2>&1 ||
    lacking "Debian $SUITE cannot be set up in $folder/root, which needs a connection: see $folder/log."
# What is outside is seen inside at the same place: the checkout, and /tmp with the socket of the screen.
checkout=$(cd "$(dirname "$0")/../.." && pwd)
write_run "exec unshare --mount --propagation private sh -euc '
    root=\$1 place=\$PWD
    shift
    mount -t proc proc \"\$root/proc\"
    for each in /dev /sys /tmp \"$checkout\"; do
        mkdir -p \"\$root\$each\"
        mount --rbind \"\$each\" \"\$root\$each\"
    done
    exec chroot \"\$root\" env -C \"\$place\" \"\$@\"
' sh '$folder/root' \"\$@\""
