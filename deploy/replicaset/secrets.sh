#!/bin/bash
# Makes the secrets of the replica set, each once: what is there already stays. It needs to be root, and of root's rights chown only.
#
#   AUTHORITY_DIR   the key that signs the members' certificate; nothing else reads it
#   KEYFILE_DIR     keyFile, by which the members know each other; members.pem, their certificate and key; ca.pem
#   CREDENTIALS_DIR root-password, ddltail-password, listen-password: for initiate.js
#   URI_DIR         mongodb-uri and ca.pem: for ddltail run
#   LISTEN_URI_DIR  the same for ddltail listen
#   GRAFANA_DIR     admin-password: for Grafana
set -euo pipefail
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

random_hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# keep OWNER FILE [MODE] puts stdin into the file, whole or not at all. Its mode is set first: root without its rights cannot
# change a file that it has given away.
keep() {
	rm -f "$2.new"
	cat >"$2.new"
	chmod "${3:-400}" "$2.new"
	chown "$1" "$2.new"
	mv "$2.new" "$2"
	echo "secrets.sh: made $2"
}

# password NAME USER URI_FOLDER. It is in both files, and neither can be read again here: both or none. initiate.js gives it to
# the user at every start. A folder without ca.pem is one of a release without TLS.
password() {
	local secret=$CREDENTIALS_DIR/$1-password uri=$3/mongodb-uri value
	if [ -s "$secret" ] && [ -s "$uri" ] && [ -s "$3/ca.pem" ]; then
		return
	fi
	rm -f "$secret" "$uri"
	value=$(random_hex 24)
	printf %s "$value" | keep "$MONGOD_OWNER" "$secret"
	keep "$DDLTAIL_OWNER" "$3/ca.pem" 444 <"$AUTHORITY_DIR/ca.pem"
	printf 'mongodb://%s:%s@%s/?replicaSet=%s&authSource=admin&tls=true&tlsCAFile=%s' \
		"$2" "$value" "$MEMBERS" "$REPLICA_SET" "$CA_FILE" | keep "$DDLTAIL_OWNER" "$uri"
}

# authority makes the certificate authority, for ten years.
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 3650 -subj "/O=ddltail/CN=$REPLICA_SET" \
		-keyout "$work/ca.key" -out "$work/ca.pem" -config <(
			printf '%s\n' '[req]' 'distinguished_name = name' 'x509_extensions = authority' '[name]' '[authority]' \
				'basicConstraints = critical, CA:TRUE' 'keyUsage = critical, keyCertSign, cRLSign' 'subjectKeyIdentifier = hash'
		) 2>"$work/log" || { cat "$work/log" >&2; return 1; }
	keep "$(id -u):$(id -g)" "$AUTHORITY_DIR/ca.key" <"$work/ca.key"
	keep "$(id -u):$(id -g)" "$AUTHORITY_DIR/ca.pem" <"$work/ca.pem"
	# What the last one signed or vouched for is made again below.
	rm -f "$KEYFILE_DIR/members.pem" "$URI_DIR/ca.pem" "$LISTEN_URI_DIR/ca.pem"
}

# members makes one certificate for all members: they share the keyFile as well. Each is client and server of the others.
members() {
	local names="DNS:localhost,IP:127.0.0.1" host
	for host in ${MEMBERS//,/ }; do
		names+=,DNS:${host%:*}
	done
	{
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=ddltail/CN=mongod" -keyout "$work/key" -out "$work/csr" \
			-config <(printf '%s\n' '[req]' 'distinguished_name = name' '[name]') &&
			openssl x509 -req -in "$work/csr" -CA "$AUTHORITY_DIR/ca.pem" -CAkey "$AUTHORITY_DIR/ca.key" -set_serial "0x$(random_hex 15)" \
				-sha256 -days 3650 -out "$work/certificate" -extfile <(printf '%s\n' "subjectAltName = $names" \
				'keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth, clientAuth')
	} 2>"$work/log" || { cat "$work/log" >&2; return 1; }
	keep "$MONGOD_OWNER" "$KEYFILE_DIR/ca.pem" 444 <"$AUTHORITY_DIR/ca.pem"
	cat "$work/certificate" "$work/key" | keep "$MONGOD_OWNER" "$KEYFILE_DIR/members.pem"
}

if [ ! -s "$AUTHORITY_DIR/ca.pem" ]; then
	authority
fi
if [ ! -s "$KEYFILE_DIR/members.pem" ]; then
	members
fi
if [ ! -s "$KEYFILE_DIR/keyFile" ]; then
	random_hex 384 | keep "$MONGOD_OWNER" "$KEYFILE_DIR/keyFile"
fi
if [ ! -s "$CREDENTIALS_DIR/root-password" ]; then
	random_hex 24 | keep "$MONGOD_OWNER" "$CREDENTIALS_DIR/root-password"
fi
password ddltail "$DDLTAIL_USER" "$URI_DIR"
password listen "$LISTEN_USER" "$LISTEN_URI_DIR"
if [ ! -s "$GRAFANA_DIR/admin-password" ]; then
	random_hex 12 | keep "$GRAFANA_OWNER" "$GRAFANA_DIR/admin-password"
fi
