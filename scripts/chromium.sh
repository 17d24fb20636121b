#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a chromium: $CHROMIUM, else chromium on PATH, else Debian's package chromium with
# the libraries that this system lacks and a few fonts, unpacked into .cache by apt, which verifies them, and installed nowhere.
#
# Exit 3: there is none, and this system has no apt that knows one. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/chromium/debian
# Latin, Arabic, Japanese and emoji.
fonts=(fonts-liberation fonts-dejavu-core fonts-wqy-microhei fonts-noto-color-emoji)

say() { printf 'chromium: %s\n' "$*" >&2; }
unavailable() { say "$*; have a chromium of your own and set CHROMIUM=/path/to/chromium"; exit 3; }

# missing: the packages that apt would install for chromium.
missing() { apt-get install --simulate --no-install-recommends chromium | awk '$1 == "Inst" {print $2}'; }

unpack() {
	local packages
	packages=$(missing)
	(cd "$1" && printf '%s\n' "$packages" "${fonts[@]}" | sort -u | xargs apt-get download &&
		for deb in *.deb; do dpkg-deb -x "$deb" unpacked; done && rm ./*.deb)
	cat >"$1/chromium" <<'WRAPPER'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
export FONTCONFIG_FILE="$here/fonts.conf"
libraries=$(echo "$here"/unpacked/usr/lib/*-linux-gnu)
LD_LIBRARY_PATH=$libraries:$libraries/pulseaudio exec "$here/unpacked/usr/lib/chromium/chromium" "$@"
WRAPPER
	chmod 755 "$1/chromium"
	# Only the fonts of this copy: pictures are the same on every system.
	cat >"$1/fonts.conf" <<'FONTS'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">unpacked/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>Liberation Sans</family><family>WenQuanYi Micro Hei</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>Liberation Mono</family><family>WenQuanYi Micro Hei Mono</family></prefer></alias>
</fontconfig>
FONTS
	"$1/chromium" --version >/dev/null || unavailable "Debian's chromium does not start here"
}

own_program CHROMIUM chromium && exit
if [[ ! -d $target ]]; then
	say "this fetches about 140 MB"
	fetch_debian chromium chromium "${fonts[@]}"
fi
echo "$target/chromium"
