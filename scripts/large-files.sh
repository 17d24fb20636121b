#!/usr/bin/env bash
# Fails when a tracked file is over 1 MiB and scripts/large-files.txt does not list it, or lists one that is not.
# Each line of that list is a path, a space and the reason why the file belongs in the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

limit=1048576
list=scripts/large-files.txt

# size and path of each file in the index; submodules have no size
sizes=$(git ls-files --stage | sed -E 's/^[0-9]+ ([0-9a-f]+) [0-9]\t(.*)$/\1 \2/' | git cat-file --batch-check='%(objectsize) %(rest)')

awk -v limit="$limit" -v list="$list" '
	FILENAME == list && /^(#|$)/ { next }
	FILENAME == list && NF < 2 { printf "%s: %s has no reason; write one after the path\n", list, $1; bad = 1 }
	FILENAME == list { listed[$1] = 1; next }
	{ path = substr($0, length($1) + 2) }
	$1 + 0 > limit {
		large[path] = 1
		if (!(path in listed)) {
			printf "%s has %d bytes, over the limit of %d; remove it, or list it with a reason in %s\n", path, $1, limit, list
			bad = 1
		}
	}
	END {
		for (path in listed) if (!(path in large)) {
			printf "%s: %s is not a tracked file over %d bytes; remove the line\n", list, path, limit
			bad = 1
		}
		exit bad
	}
' "$list" - <<<"$sizes" >&2
