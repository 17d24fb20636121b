#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a logrotate: $LOGROTATE, else logrotate on PATH, else the one of Debian's package
# logrotate, unpacked into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/logrotate/debian

say() { printf 'logrotate: %s\n' "$*" >&2; }
unavailable() { say "$*; have a logrotate of your own and set LOGROTATE=/path/to/logrotate"; exit 3; }

# The library is logrotate's alone: it is found by a wrapper.
unpack() {
	(cd "$1" && apt-get download logrotate libpopt0 && for deb in *.deb; do dpkg-deb -x "$deb" unpacked; done && rm ./*.deb)
	cat >"$1/logrotate" <<'WRAPPER'
#!/bin/sh
unpacked=$(dirname "$0")/unpacked
LD_LIBRARY_PATH=$(echo "$unpacked"/usr/lib/*-linux-gnu) exec "$unpacked/usr/sbin/logrotate" "$@"
WRAPPER
	chmod 755 "$1/logrotate"
	"$1/logrotate" --version >/dev/null 2>&1 || unavailable "Debian's logrotate does not start here"
}

own_program LOGROTATE logrotate && exit
[[ -d $target ]] || fetch_debian logrotate logrotate libpopt0
echo "$target/logrotate"
