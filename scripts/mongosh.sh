#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a mongosh: $MONGOSH, else mongosh on PATH, else one in .cache, installed by npm
# from the lockfile in scripts/mongosh if it is not there.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
lock=$scripts/mongosh
target=$(dirname "$scripts")/.cache/mongosh/$(cksum "$lock/package-lock.json" | cut -d' ' -f1)

say() { printf 'mongosh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

fetch() {
	command -v npm >/dev/null || fail "no mongosh, and no npm to fetch it: install node and npm (Node 20 or newer), or set MONGOSH=/path/to/mongosh"
	say "fetching mongosh by npm into .cache"
	once "$target" npm_packages
}

own_program MONGOSH mongosh && exit
[[ -d $target ]] || fetch
echo "$target/node_modules/.bin/mongosh"
