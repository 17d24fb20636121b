#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a libfaketime: $LIBFAKETIME, else the one of Debian's package libfaketime, unpacked
# into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/faketime/debian

say() { printf 'faketime: %s\n' "$*" >&2; }
unavailable() { say "$*; have a libfaketime of your own and set LIBFAKETIME=/path/to/libfaketimeMT.so.1"; exit 3; }

unpack() {
	(cd "$1" && apt-get download libfaketime && dpkg-deb -x libfaketime_*.deb unpacked)
	# The variant for programs with threads.
	mv "$1"/unpacked/usr/lib/*/faketime/libfaketimeMT.so.1 "$1/"
	rm -r "$1"/libfaketime_*.deb "$1/unpacked"
}

if [[ -n ${LIBFAKETIME:-} ]]; then
	[[ -r $LIBFAKETIME ]] || { say "LIBFAKETIME=$LIBFAKETIME cannot be read"; exit 1; }
	echo "$LIBFAKETIME"
else
	[[ -d $target ]] || fetch_debian libfaketime libfaketime
	echo "$target/libfaketimeMT.so.1"
fi
