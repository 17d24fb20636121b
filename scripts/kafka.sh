#!/usr/bin/env bash
# Prints, as the last line of stdout, a folder with the jars of Kafka, broker and client. They are in .cache, fetched by Maven at
# the versions of scripts/kafka/pom.xml and compared with scripts/kafka/jars.sha256.
#
# Exit 3: there is no Java of at least version 17, or no Maven. Exit 1: anything else went wrong.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$scripts/once.sh"
target=$(dirname "$scripts")/.cache/kafka/$(cksum "$scripts/kafka/jars.sha256" | cut -d' ' -f1)

say() { printf 'kafka: %s\n' "$*" >&2; }
unavailable() { say "$*"; exit 3; }

java_version() { java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p;q'; }

unpack() {
	mvn --quiet --batch-mode --file "$scripts/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1"
	(cd "$1" && sha256sum --check --quiet --strict "$scripts/kafka/jars.sha256")
}

command -v java >/dev/null || unavailable "Java 17 or newer is needed for the tests of the sink kafka (Debian: apt-get install openjdk-17-jdk-headless)"
[[ $(java_version) -ge 17 ]] || unavailable "Java 17 or newer is needed for the tests of the sink kafka, and this is $(java_version)"
if [[ ! -d $target ]]; then
	command -v mvn >/dev/null || unavailable "Maven is needed to fetch Kafka for the tests of the sink kafka (Debian: apt-get install maven)"
	say "fetching Kafka by Maven into .cache (43 MB)"
	once "$target" unpack
fi
echo "$target"
