# shellcheck shell=bash
# Sourced by the scripts that fetch.

# once TARGET COMMAND: the folder TARGET, which is not there yet, filled by COMMAND, to which an empty folder is given. It appears
# as a whole or not at all, and of several at once only one does the work.
once() {
	local target=$1 command=$2 parent staging
	parent=$(dirname "$target")
	mkdir -p "$parent"
	exec 9>"$parent/.lock"
	flock 9
	[[ -d $target ]] && return # another process made it while this one waited
	staging=$(mktemp -d "$parent/.staging.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now is meant
	trap "rm -rf '$staging'" EXIT
	"$command" "$staging" >&2
	chmod 755 "$staging"
	mv -T "$staging" "$target"
}

# own_program VARIABLE NAME...: prints $VARIABLE, else the first of the programs on PATH. It fails if there is none.
own_program() {
	local variable=$1 name
	shift
	if [[ -n ${!variable:-} ]]; then
		[[ -x ${!variable} ]] || { say "$variable=${!variable} is no program that can be run"; exit 1; }
		echo "${!variable}"
		return
	fi
	for name; do
		command -v "$name" && return
	done
	return 1
}

# fetch_debian WHAT PACKAGE...: the folder $target, filled by the script's unpack; apt has to know one of the packages.
fetch_debian() {
	local what=$1
	shift
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		unavailable "no $what, and no apt to fetch it"
	fi
	[[ -n $(apt-cache show "$@" 2>/dev/null) ]] || unavailable "no $what, and apt knows no package $1 (apt-get update)"
	say "fetching Debian's package $1 into .cache"
	# shellcheck disable=SC2154 # the script that sources this sets it
	once "$target" unpack
}

# npm_packages FOLDER: what the lockfile of the folder $lock pins, installed into FOLDER/node_modules.
npm_packages() {
	# shellcheck disable=SC2154 # the script that sources this sets it
	cp "$lock/package.json" "$lock/package-lock.json" "$lock/.npmrc" "$1"
	(cd "$1" && npm ci --ignore-scripts --loglevel=error)
}
