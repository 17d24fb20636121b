#!/usr/bin/env bash
# Prints, as the last line of stdout, the path of a nats-server, built from the Go module that tools/go.mod pins into .cache.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
root=$(dirname "$scripts")
target=$root/.cache/nats/$(sed -n 's/.*nats-server\/v2 v\([^ ]*\).*/\1/p' "$root/tools/go.mod")

say() { printf 'nats: %s\n' "$*" >&2; }

build() {
	go build -C "$root/tools" -o "$1/nats-server" github.com/nats-io/nats-server/v2
	"$1/nats-server" --version >&2
}

if [[ ! -d $target ]]; then
	say "building nats-server into .cache"
	once "$target" build
fi
echo "$target/nats-server"
