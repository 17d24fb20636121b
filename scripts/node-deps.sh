#!/usr/bin/env bash
# Prints, as the last line of stdout, the folder whose node_modules has the Node packages that tests need. They are in .cache,
# installed by npm from the lockfile in scripts/node if they are not there.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
lock=$scripts/node
target=$(dirname "$scripts")/.cache/node/$(cksum "$lock/package-lock.json" | cut -d' ' -f1)

say() { printf 'node-deps: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

fetch() {
	command -v npm >/dev/null || fail "node and npm are needed for the tests in Node (Node 20.19 or newer)"
	say "fetching the packages of scripts/node into .cache"
	once "$target" npm_packages
}

[[ -d $target ]] || fetch
echo "$target"
