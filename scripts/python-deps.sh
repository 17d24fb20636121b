#!/usr/bin/env bash
# Prints, as the last line of stdout, the folder with the Python packages that tests need, for PYTHONPATH. They are in .cache,
# fetched by pip with the hashes of scripts/python/requirements.txt if they are not there.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
cache=$(dirname "$scripts")/.cache
requirements=$scripts/python/requirements.txt

say() { printf 'python-deps: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

command -v python3 >/dev/null || fail "python3 is needed for the tests of the Python example (Debian: apt-get install python3 python3-pip)"
# Wheels are of one Python: another finds none of its own and fetches them.
release=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
target=$cache/python/$release-$(cksum "$requirements" | cut -d' ' -f1)

fetch() {
	python3 -m pip --version >/dev/null 2>&1 ||
		fail "python3 has no pip, which fetches pymongo (Debian: apt-get install python3-pip)"
	say "fetching pymongo into .cache"
	once "$target" install
}

install() {
	python3 -m pip install --disable-pip-version-check --quiet --only-binary :all: --require-hashes \
		--requirement "$requirements" --target "$1"
}

[[ -d $target ]] || fetch
echo "$target"
