#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a promtool: $PROMTOOL, else promtool on PATH, else the one of Debian's package
# prometheus, unpacked into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(dirname "$scripts")/.cache/promtool

say() { printf 'promtool: %s\n' "$*" >&2; }
unavailable() { say "$*; have a promtool of your own and set PROMTOOL=/path/to/promtool"; exit 3; }

fetch() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || unavailable "no promtool, and no apt to fetch it"
	[[ -n $(apt-cache show prometheus 2>/dev/null) ]] || unavailable "no promtool, and apt knows no package prometheus (apt-get update)"
	mkdir -p "$target"
	exec 9>"$target/.lock"
	flock 9
	[[ -x $target/promtool ]] && return # another process fetched it while this one waited
	say "fetching Debian's package prometheus into .cache"
	local staging
	staging=$(mktemp -d "$target/.staging.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now is meant
	trap "rm -rf '$staging'" EXIT
	(cd "$staging" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb unpacked) >&2
	"$staging/unpacked/usr/bin/promtool" --version >/dev/null || unavailable "Debian's promtool does not start here"
	mv "$staging/unpacked/usr/bin/promtool" "$target/promtool"
}

if [[ -n ${PROMTOOL:-} ]]; then
	[[ -x $PROMTOOL ]] || { say "PROMTOOL=$PROMTOOL is no program that can be run"; exit 1; }
	echo "$PROMTOOL"
elif command -v promtool; then
	:
else
	[[ -x $target/promtool ]] || fetch
	echo "$target/promtool"
fi
