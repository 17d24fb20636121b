#!/usr/bin/env bash
# Prints, as the last line of stdout, the folder whose node_modules has the Node packages that tests need. They are in .cache,
# installed by npm from the lockfile in scripts/node if they are not there.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(dirname "$scripts")/.cache
target=$cache/node/$(cksum "$scripts/node/package-lock.json" | cut -d' ' -f1)

say() { printf 'node-deps: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

fetch() {
	command -v npm >/dev/null || fail "node and npm are needed for the tests of the Node example (Node 20.19 or newer)"
	mkdir -p "$cache/node"
	exec 9>"$cache/node/.lock"
	flock 9
	[[ -d $target ]] && return # another process fetched it while this one waited
	say "fetching mongodb and migrate-mongo into .cache"
	local staging
	staging=$(mktemp -d "$cache/node/.staging.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now is meant
	trap "rm -rf '$staging'" EXIT
	cp "$scripts/node/package.json" "$scripts/node/package-lock.json" "$scripts/node/.npmrc" "$staging"
	(cd "$staging" && npm ci --ignore-scripts --loglevel=error) >&2
	chmod 755 "$staging"
	mv -T "$staging" "$target"
}

[[ -d $target ]] || fetch
echo "$target"
