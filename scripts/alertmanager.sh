#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of an Alertmanager: $ALERTMANAGER, else alertmanager or prometheus-alertmanager on PATH, else the one
# of Debian's package prometheus-alertmanager, unpacked into .cache by apt, which verifies it, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/alertmanager/debian

say() { printf 'alertmanager: %s\n' "$*" >&2; }
unavailable() { say "$*; have an Alertmanager of your own and set ALERTMANAGER=/path/to/alertmanager"; exit 3; }

unpack() {
	(cd "$1" && apt-get download prometheus-alertmanager && dpkg-deb -x prometheus-alertmanager_*.deb unpacked)
	"$1/unpacked/usr/bin/prometheus-alertmanager" --version >/dev/null || unavailable "Debian's Alertmanager does not start here"
	# Debian's build reads its default templates from /usr/share. In this copy the folder is one of the same length that means the
	# working directory: run it in its own folder.
	local folder=/usr/share/prometheus/alertmanager here
	here=.$(printf '%*s' $((${#folder} - 1)) '' | tr ' ' /)
	LC_ALL=C sed "s#$folder#$here#g" "$1/unpacked/usr/bin/prometheus-alertmanager" >"$1/alertmanager"
	chmod 755 "$1/alertmanager"
	mv "$1/unpacked$folder"/*.tmpl "$1"
	rm -r "$1"/prometheus-alertmanager_*.deb "$1/unpacked"
}

own_program ALERTMANAGER alertmanager prometheus-alertmanager && exit
[[ -d $target ]] || fetch_debian Alertmanager prometheus-alertmanager
echo "$target/alertmanager"
