#!/usr/bin/env bash
# Tests ddltail with the empty test set at MONGOD_URI, of whatever version: what needs neither a start nor a kill nor a step-down of
# a server. It leaves the database ddltail_matrix behind.
set -euo pipefail

: "${MONGOD_URI:?the URI of an empty test set}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
pid=
trap '[[ -z $pid ]] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
export DDLTAIL_MONGODB_URI=$MONGOD_URI DDLTAIL_DATABASE=ddltail_matrix DDLTAIL_LOG_FORMAT=json
export DDLTAIL_HTTP_ADDR=unix:$work/http.sock

echo "matrix: every kind of DDL once, judged by the rules of the golden cases"
bin/ddltail capture ${SCRATCH:+--scratch} >"$work/capture"
go test -count=1 ./internal/detector -run '^TestCorpus$' -v -corpus "$work/capture"

echo "matrix: run beside the same changes, its catalog compared with the server's"
bin/ddltail run 2>"$work/log" &
pid=$!
ready() { curl -fsS --unix-socket "$work/http.sock" http://localhost/readyz >/dev/null 2>&1; }
for _ in $(seq 120); do
	if ready; then break; fi
	kill -0 "$pid" || { cat "$work/log" >&2; exit 1; }
	sleep 0.5
done
ready
bin/ddltail capture --scratch >/dev/null
for _ in $(seq 60); do
	if bin/ddltail status >"$work/status" 2>&1; then
		cat "$work/status"
		bin/ddltail history --operation UNKNOWN_COMMAND --format json >"$work/unknown"
		[[ ! -s $work/unknown ]] || { cat "$work/unknown" >&2; exit 1; }
		echo "matrix: $(bin/ddltail history --ns 'ddltail_capture_*' --format json | wc -l) changes reported"
		exit 0
	fi
	sleep 1
done
cat "$work/status" "$work/log" >&2
exit 1
