#!/usr/bin/env bash
# Proves that a release can be reproduced: builds that of the last commit in two clones, whose paths differ in length, the second
# with an empty build cache, and compares the bytes.
set -euo pipefail

version=${1:?VERSION}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export TOOLS=$PWD/bin
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

git clone -q . "$work/a"
git clone -q . "$work/another/folder"
"$work/a/scripts/release.sh" "$version" "$work/first"
GOCACHE=$work/cache "$work/another/folder/scripts/release.sh" "$version" "$work/second"
diff -r "$work/first" "$work/second"
echo "equal, twice:"
cat "$work/first/SHA256SUMS"
