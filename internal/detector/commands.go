package detector

// command is one row of the table: the first field of a command entry, why it is reported or
// ignored, and its handler.
type command struct {
	name   string
	reason string
	// handle is nil for a command that is known and ignored.
	handle func(*detection, operation) error
	// rewind reverts a catalog to its state before the command; nil if the command does not
	// change it.
	rewind func(*Rewind, operation)
}

// commands lists all known commands. A name that is not listed here is an UNKNOWN_COMMAND, so
// that no command of a newer server is skipped silently.
func commands() []command {
	return []command{
		{"create", "a collection, made on purpose or by a first write; the buckets of a time series", create, uncreate},
		{"drop", "a collection; dropDatabase writes one for each; one of system.views takes all views", dropCollection, undrop},
		{"createIndexes", "one index of an empty collection, its spec inline", createIndexes, unindex},
		{"startIndexBuild", "a build is not an index yet; its start is used for the duration", startIndexBuild, nil},
		{"commitIndexBuild", "the end of a two-phase build: only now are these indexes", commitIndexBuild, unindex},
		{"abortIndexBuild", "a build that came to nothing, with its cause", abortIndexBuild, nil},
		{"dropIndexes", "one index, its old spec in o2", dropIndexes, reindex},
		{"deleteIndexes", "the name that old drivers use for dropIndexes", dropIndexes, reindex},
		{"collMod", "options of a collection or of an index, the old ones in o2", modifyCollection, unmodify},
		{"renameCollection", "a rename, and the last step of $out, convertToCapped and renames across databases", renameCollection, unrename},
		{"dropDatabase", "follows one drop for each collection", dropDatabase, nil},
		{"upgradeDowngradeViewlessTimeseries", "9.0: a time series changes its storage form, the user sees the same", changeStorageForm, nil},

		{"applyOps", "its operations are taken out before the detector; what is left of it is none", nil, nil},
		{"commitTransaction", "the operations come from the entries before it; left over, it held none", nil, nil},
		{"abortTransaction", "what did not commit did not happen", nil, nil},

		{"dbCheck", "a consistency check, changes no schema", nil, nil},
		{"emptycapped", "removes documents, not definitions; a test command", nil, nil},
		{"importCollection", "enterprise backup's own", nil, nil},
		{"createGlobalIndex", "sharding's own, never typed by a user", nil, nil},
		{"dropGlobalIndex", "sharding's own, never typed by a user", nil, nil},
		{"modifyCollectionShardingIndexCatalog", "sharding's own, 7.0 and 8.0", nil, nil},
		{"createDatabaseMetadata", "sharding's own, from 8.1", nil, nil},
		{"dropDatabaseMetadata", "sharding's own, from 8.1", nil, nil},
		{"invalidateCollectionMetadata", "sharding's own, 9.0", nil, nil},
		{"setAllowChunkOperations", "sharding's own, 9.0", nil, nil},
		{"updateCollectionMetadata", "sharding's own, 9.0", nil, nil},
		{"truncateRange", "9.0: removes documents, not definitions", nil, nil},
		{"setMultikeyMetadata", "9.0: a flag of an index that users do not see", nil, nil},
		{"dropIdent", "9.0: the storage half of a drop that is already logged", nil, nil},
		{"initReplicatedFastCount", "9.0: storage bookkeeping", nil, nil},
	}
}
