#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a mongosh: $MONGOSH, else mongosh on PATH, else one in .cache, installed by npm
# from the lockfile in scripts/mongosh if it is not there.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(dirname "$scripts")/.cache
target=$cache/mongosh/$(cksum "$scripts/mongosh/package-lock.json" | cut -d' ' -f1)

say() { printf 'mongosh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

fetch() {
	command -v npm >/dev/null || fail "no mongosh, and no npm to fetch it: install node and npm (Node 20 or newer), or set MONGOSH=/path/to/mongosh"
	mkdir -p "$cache/mongosh"
	exec 9>"$cache/mongosh/.lock"
	flock 9
	[[ -d $target ]] && return # another process fetched it while this one waited
	say "fetching mongosh by npm into .cache"
	local staging
	staging=$(mktemp -d "$cache/mongosh/.staging.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now is meant
	trap "rm -rf '$staging'" EXIT
	cp "$scripts/mongosh/package.json" "$scripts/mongosh/package-lock.json" "$scripts/mongosh/.npmrc" "$staging"
	(cd "$staging" && npm ci --ignore-scripts --loglevel=error) >&2
	chmod 755 "$staging"
	mv -T "$staging" "$target"
	say "fetched"
}

if [[ -n ${MONGOSH:-} ]]; then
	[[ -x $MONGOSH ]] || fail "MONGOSH=$MONGOSH is no program"
	echo "$MONGOSH"
elif command -v mongosh; then
	:
else
	[[ -d $target ]] || fetch
	echo "$target/node_modules/.bin/mongosh"
fi
