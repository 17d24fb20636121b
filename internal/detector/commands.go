package detector

// command is one row of the table: what the server writes as the first field of
// a command entry, why it is told or passed over, and who handles it.
type command struct {
	name   string
	reason string
	// handle is nil where the command is known and passed over.
	handle func(*work, operation) error
}

// commands is all that is known of command entries. A name that does not stand
// here is an UNKNOWN_COMMAND: nothing that a newer server does passes in silence.
func commands() []command {
	return []command{
		{"create", "a collection, made on purpose or by a first write; the buckets of a time series", create},
		{"drop", "a collection; dropDatabase writes one for each; one of system.views takes all views", dropCollection},
		{"createIndexes", "one index of an empty collection, its spec inline", createIndexes},
		{"startIndexBuild", "a build is no index yet; its start tells how long it took", startIndexBuild},
		{"commitIndexBuild", "the end of a two-phase build: only now are these indexes", commitIndexBuild},
		{"abortIndexBuild", "a build that came to nothing, with its cause", abortIndexBuild},
		{"dropIndexes", "one index, its old spec in o2", dropIndexes},
		{"deleteIndexes", "the name that old drivers use for dropIndexes", dropIndexes},
		{"collMod", "options of a collection or of an index, the old ones in o2", modifyCollection},
		{"renameCollection", "a rename, and the last step of $out, convertToCapped and renames across databases", renameCollection},
		{"dropDatabase", "follows one drop for each collection", dropDatabase},
		{"upgradeDowngradeViewlessTimeseries", "9.0: a time series changes its storage form, the user sees the same", changeStorageForm},

		{"applyOps", "its operations are taken out before the detector; what is left of it is none", nil},
		{"commitTransaction", "the operations come from the entries before it; left over, it held none", nil},
		{"abortTransaction", "what did not commit did not happen", nil},

		{"dbCheck", "a consistency check, changes no schema", nil},
		{"emptycapped", "removes documents, not definitions; a test command", nil},
		{"importCollection", "enterprise backup's own", nil},
		{"createGlobalIndex", "sharding's own, never typed by a user", nil},
		{"dropGlobalIndex", "sharding's own, never typed by a user", nil},
		{"modifyCollectionShardingIndexCatalog", "sharding's own, 7.0 and 8.0", nil},
		{"createDatabaseMetadata", "sharding's own, from 8.1", nil},
		{"dropDatabaseMetadata", "sharding's own, from 8.1", nil},
		{"invalidateCollectionMetadata", "sharding's own, 9.0", nil},
		{"setAllowChunkOperations", "sharding's own, 9.0", nil},
		{"updateCollectionMetadata", "sharding's own, 9.0", nil},
		{"truncateRange", "9.0: removes documents, not definitions", nil},
		{"setMultikeyMetadata", "9.0: a flag of an index that users do not see", nil},
		{"dropIdent", "9.0: the storage half of a drop that is already logged", nil},
		{"initReplicatedFastCount", "9.0: storage bookkeeping", nil},
	}
}
