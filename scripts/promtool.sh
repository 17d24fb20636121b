#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a promtool: $PROMTOOL, else promtool on PATH, else the one of Debian's package
# prometheus, unpacked into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/promtool/debian

say() { printf 'promtool: %s\n' "$*" >&2; }
unavailable() { say "$*; have a promtool of your own and set PROMTOOL=/path/to/promtool"; exit 3; }

fetch() {
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		unavailable "no promtool, and no apt to fetch it"
	fi
	[[ -n $(apt-cache show prometheus 2>/dev/null) ]] || unavailable "no promtool, and apt knows no package prometheus (apt-get update)"
	say "fetching Debian's package prometheus into .cache"
	once "$target" unpack
}

unpack() {
	(cd "$1" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb unpacked)
	"$1/unpacked/usr/bin/promtool" --version >/dev/null || unavailable "Debian's promtool does not start here"
	mv "$1/unpacked/usr/bin/promtool" "$1/promtool"
	rm -r "$1"/prometheus_*.deb "$1/unpacked"
}

if [[ -n ${PROMTOOL:-} ]]; then
	[[ -x $PROMTOOL ]] || { say "PROMTOOL=$PROMTOOL is no program that can be run"; exit 1; }
	echo "$PROMTOOL"
elif command -v promtool; then
	:
else
	[[ -d $target ]] || fetch
	echo "$target/promtool"
fi
