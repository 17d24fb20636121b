#!/usr/bin/env bash
# Prints a page of this repository for an archive, in which the pages that it links to are not: its relative links become absolute.
#
#   scripts/archive-page.sh COMMIT PAGE
set -euo pipefail

commit=${1:?COMMIT} page=${2:?PAGE}
sed -E "s#\]\(([A-Za-z])#](https://github.com/ddltail/ddltail/blob/$commit/\1#g; s#\]\([^)]*/(https?://)#](\1#g" \
	"$(dirname "${BASH_SOURCE[0]}")/../$page"
