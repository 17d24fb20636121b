#!/usr/bin/env bash
# Builds the artefacts of a release into an empty folder: archives, deb, rpm, an SBOM for each program, SHA256SUMS.
#
#   scripts/release.sh VERSION FOLDER
#
# The same commit gives the same bytes, in whatever folder it is checked out: time and serial number of all artefacts follow
# from the commit. PLATFORMS builds some alone. TOOLS is the folder of nfpm and cyclonedx-gomod (make release builds them into bin).
set -euo pipefail

version=${1:?VERSION, such as 1.2.3} out=${2:?FOLDER}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=${TOOLS:-$PWD/bin}
mkdir -p "$out"
out=$(cd "$out" && pwd)
[[ -z $(ls -A "$out") ]] || { echo "release: $out is not empty" >&2; exit 1; }
version=${version#v}
# What is no version number yet sorts before every release.
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || version=0.0.0-dev.$version

commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH CGO_ENABLED=0 GOFLAGS= LC_ALL=C TZ=UTC
export GOTOOLCHAIN=${GOTOOLCHAIN:-auto}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# The serial number is a UUID of the program's name, version and platform.
sbom() {
	"$tools/cyclonedx-gomod" bin -json -noserial -notimestamp -version "v$version" -output "$work/sbom" "$1" 2>/dev/null
	python3 - "$work/sbom" "$SOURCE_DATE_EPOCH" "$commit/$2" <<-'END' >"$out/$2.cdx.json"
		import datetime, json, sys, uuid
		path, epoch, name = sys.argv[1:]
		bom = json.load(open(path))
		bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/ddltail/ddltail/" + name).urn
		at = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
		bom["metadata"]["timestamp"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
		json.dump(bom, sys.stdout, indent=2, sort_keys=True)
		print()
	END
}

archive() {
	local name=$1 binary=$2 folder=$work/archives/$1
	mkdir -p "$folder"
	cp "$binary" "$folder/ddltail"
	cp -r LICENSE "$work/generated/man1" "$work/generated/completions" "$folder"
	for page in README.md CHANGELOG.md; do
		scripts/archive-page.sh "$commit" "$page" >"$folder/$page"
	done
	cp deploy/replicaset/create-user.js deploy/replicaset/prometheus-alerts.yml "$folder"
	if [[ $name == *-linux-* ]]; then
		cp deploy/packages/*.service "$folder"
	fi
	tar -C "$work/archives" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar \
		-cf - "$name" | gzip -9n >"$out/$name.tar.gz"
}

packages() {
	local format
	for format in deb rpm; do
		GOARCH=$1 BINARY=$2 GENERATED=$work/generated PACKAGE_VERSION=$version \
			"$tools/nfpm" package --config deploy/packages/nfpm.yaml --packager "$format" --target "$out" >"$work/nfpm.log" || { cat "$work/nfpm.log" >&2; return 1; }
	done
}

go run -tags packaging -trimpath ./cmd/ddltail packaging "$work/generated"
gzip -9n "$work"/generated/man1/*.1

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	os=${platform%/*} arch=${platform#*/} name=ddltail-$version-$os-$arch
	binary=$work/bin/$os-$arch/ddltail
	GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$version -X main.commit=$commit" -o "$binary" ./cmd/ddltail
	archive "$name" "$binary"
	sbom "$binary" "$name"
	if [[ $os == linux ]]; then
		packages "$arch" "$binary"
	fi
done

(cd "$out" && sha256sum -- * >SHA256SUMS)
