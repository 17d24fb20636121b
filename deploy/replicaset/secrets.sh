#!/bin/bash
# Makes the secrets of the replica set, each once: what is there already stays. It needs to be root, and of root's rights chown only.
#
#   KEYFILE_DIR      keyFile, by which the members know each other
#   CREDENTIALS_DIR  root-password, ddltail-password: for initiate.js
#   URI_DIR          mongodb-uri: for ddltail
set -euo pipefail
# Files are born readable by their owner alone, who is not root in the end.
umask 377

random_hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# keep OWNER FILE puts stdin into the file, whole or not at all.
keep() {
	rm -f "$2.new"
	cat >"$2.new"
	chown "$1" "$2.new"
	mv "$2.new" "$2"
	echo "secrets.sh: made $2"
}

if [ ! -s "$KEYFILE_DIR/keyFile" ]; then
	random_hex 384 | keep "$MONGOD_OWNER" "$KEYFILE_DIR/keyFile"
fi
if [ ! -s "$CREDENTIALS_DIR/root-password" ]; then
	random_hex 24 | keep "$MONGOD_OWNER" "$CREDENTIALS_DIR/root-password"
fi
# The password stands in both files, and neither can be read again here: both or none. initiate.js gives it to the user at every start.
if [ ! -s "$CREDENTIALS_DIR/ddltail-password" ] || [ ! -s "$URI_DIR/mongodb-uri" ]; then
	rm -f "$CREDENTIALS_DIR/ddltail-password" "$URI_DIR/mongodb-uri"
	password=$(random_hex 24)
	printf %s "$password" | keep "$MONGOD_OWNER" "$CREDENTIALS_DIR/ddltail-password"
	printf 'mongodb://%s:%s@%s/?replicaSet=%s&authSource=admin' "$DDLTAIL_USER" "$password" "$MEMBERS" "$REPLICA_SET" |
		keep "$DDLTAIL_OWNER" "$URI_DIR/mongodb-uri"
fi
