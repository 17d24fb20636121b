#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a program of Prometheus:
#
#   prometheus.sh prometheus   $PROMETHEUS, else prometheus on PATH, else that of Debian's package prometheus
#   prometheus.sh promtool     $PROMTOOL, else promtool on PATH, else that of the package
#
# The package is unpacked into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

program=${1:-} variable=${1^^}
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/prometheus/debian

say() { printf 'prometheus: %s\n' "$*" >&2; }
unavailable() { say "$*; have a $program of your own and set $variable=/path/to/$program"; exit 3; }

unpack() {
	(cd "$1" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb unpacked)
	"$1/unpacked/usr/bin/$program" --version >/dev/null || unavailable "Debian's $program does not start here"
	mv "$1"/unpacked/usr/bin/{prometheus,promtool} "$1"
	rm -r "$1"/prometheus_*.deb "$1/unpacked"
}

case $program in
prometheus | promtool) ;;
*) say "usage: prometheus.sh prometheus|promtool"; exit 1 ;;
esac
own_program "$variable" "$program" && exit
[[ -d $target ]] || fetch_debian "$program" prometheus
echo "$target/$program"
