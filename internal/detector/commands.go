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
		{"create", "a new collection, explicit or by a first write; the buckets of a time series", create, uncreate},
		{"drop", "a collection; dropDatabase writes one for each; a drop of system.views drops every view", dropCollection, undrop},
		{"createIndexes", "one index of an empty collection, its spec inline", createIndexes, unindex},
		{"startIndexBuild", "a build is not an index yet; its start is used for the duration", startIndexBuild, nil},
		{"commitIndexBuild", "the end of a two-phase build: the indexes exist from here on", commitIndexBuild, unindex},
		{"abortIndexBuild", "a failed index build, with its cause", abortIndexBuild, nil},
		{"dropIndexes", "one index, with its spec in o2", dropIndexes, reindex},
		{"deleteIndexes", "the name that old drivers use for dropIndexes", dropIndexes, reindex},
		{"collMod", "options of a collection or an index, with the previous ones in o2", modifyCollection, unmodify},
		{"renameCollection", "a rename, and the last step of $out, convertToCapped and renames across databases", renameCollection, unrename},
		{"dropDatabase", "follows one drop for each collection", dropDatabase, nil},
		{"upgradeDowngradeViewlessTimeseries", "9.0: converts the storage form of a time series; its definition does not change", changeStorageForm, nil},

		{"applyOps", "oplog.Assemble has expanded it; an applyOps that remains has no operations", nil, nil},
		{"commitTransaction", "oplog.Assemble has expanded it; one that remains has no operations", nil, nil},
		{"abortTransaction", "an aborted transaction has no effect", nil, nil},

		{"dbCheck", "a consistency check, changes no schema", nil, nil},
		{"emptycapped", "removes documents, not definitions; a test command", nil, nil},
		{"importCollection", "internal to the backup of MongoDB Enterprise", nil, nil},
		{"createGlobalIndex", "internal to sharding, never sent by a user", nil, nil},
		{"dropGlobalIndex", "internal to sharding, never sent by a user", nil, nil},
		{"modifyCollectionShardingIndexCatalog", "internal to sharding, 7.0 and 8.0", nil, nil},
		{"createDatabaseMetadata", "internal to sharding, from 8.1", nil, nil},
		{"dropDatabaseMetadata", "internal to sharding, from 8.1", nil, nil},
		{"invalidateCollectionMetadata", "internal to sharding, 9.0", nil, nil},
		{"setAllowChunkOperations", "internal to sharding, 9.0", nil, nil},
		{"updateCollectionMetadata", "internal to sharding, 9.0", nil, nil},
		{"truncateRange", "9.0: removes documents, not definitions", nil, nil},
		{"setMultikeyMetadata", "9.0: a flag of an index that users do not see", nil, nil},
		{"dropIdent", "9.0: the storage half of a drop that is already logged", nil, nil},
		{"initReplicatedFastCount", "9.0: storage bookkeeping", nil, nil},
	}
}
