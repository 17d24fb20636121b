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

# npm_packages FOLDER: what the lockfile of the folder $lock pins, installed into FOLDER/node_modules.
npm_packages() {
	# shellcheck disable=SC2154 # the script that sources this sets it
	cp "$lock/package.json" "$lock/package-lock.json" "$lock/.npmrc" "$1"
	(cd "$1" && npm ci --ignore-scripts --loglevel=error)
}
