package option

// Collection returns the row of an option of a collection or a view. An option without a row is a user's,
// and no collMod changes it.
func Collection(name string) Option { return find(name, CollectionOptions) }

// CollectionOptions yields every row of the table.
func CollectionOptions(yield func(Option) bool) {
	rows := [...]Option{
		{Name: "validator", Why: "an empty one validates nothing; on buckets the server writes its own",
			Origin: Buckets, Default: emptyDocument, Parameter: "validator", Off: `{}`, Helper: true},
		{Name: "validationLevel", Why: "collMod writes the default down and cannot remove it again",
			Default: strict, Parameter: "validationLevel", Off: `"strict"`, Helper: true, Reading: Word},
		{Name: "validationAction", Why: "collMod writes the default down and cannot remove it again",
			Default: fails, Parameter: "validationAction", Off: `"error"`, Helper: true, Reading: Word},
		{Name: "changeStreamPreAndPostImages", Why: "listed by 6.0 and later only where enabled",
			Default: disabled, Parameter: "changeStreamPreAndPostImages", Off: `{"enabled": false}`, Helper: true},
		{Name: "recordPreImages", Why: "4.4 and 5.0 alone; mongosh's helper drops it",
			Default: off, Parameter: "recordPreImages", Off: `false`, Reading: Flag},
		{Name: "expireAfterSeconds", Why: "of a time series or a clustered collection; collMod removes it by a string",
			Default:   isString,
			Parameter: "expireAfterSeconds", Off: `"off"`, Limit: true, Helper: true, Reading: Whole},
		{Name: "capped", Why: "only convertToCapped makes a collection capped; nothing makes it uncapped",
			Default: off, Helper: true, Reading: Flag},
		{Name: "size", Why: "of a capped collection, in bytes; it cannot be removed",
			Parameter: "cappedSize", CappedOnly: true, Since: "6.0", Limit: true, Helper: true, Reading: CappedSize},
		{Name: "max", Why: "of a capped collection; a server writes 2147483647 for none, and so does a maximum of 0",
			Default: noMaximum, Parameter: "cappedMax", Off: `0`, CappedOnly: true, Since: "6.0", Limit: true, Helper: true, Reading: Whole},
		{Name: "timeseries", Why: "collMod makes the granularity coarser, and nothing else of it changes",
			Parameter: "timeseries", Helper: true},
		{Name: "collation", Why: "an empty one is none", Default: emptyDocument, Helper: true},
		{Name: "clusteredIndex", Why: "on buckets the server writes true", Origin: Buckets, Helper: true},
		{Name: "storageEngine", Why: "a user's; app_metadata in it, and that of buckets, is the server's", Helper: true},
		{Name: "indexOptionDefaults", Why: "create accepts it, no collMod changes it", Helper: true},
		{Name: "viewOn", Why: "of a view", Helper: true},
		{Name: "pipeline", Why: "of a view", Helper: true},
		{Name: "autoIndexId", Why: "servers keep what an old driver sent, create _id_ on a replica set whatever it says, and list it in part",
			Origin: Server, Default: always},
		{Name: "create", Why: "the command's own name in an entry", Origin: Server},
		{Name: "temp", Why: "marks a temporary collection: Definition.Temporary", Origin: Server, Default: always},
		{Name: "uuid", Why: "the collection's UUID: Definition.UUID", Origin: Server},
		{Name: "idIndex", Why: "the _id_ index, in entries", Origin: Server},
		{Name: "flags", Why: "of data files older than 4.2", Origin: Server},
		{Name: "recordIdsReplicated", Why: "written by later servers; create refuses it", Origin: Server},
		{Name: "prepareConstraintValidationLevel", Why: "written by later servers; create refuses it", Origin: Server},
	}
	for _, row := range rows {
		if !yield(row) {
			return
		}
	}
}

// CollectionParameter returns the row that a parameter of collMod changes.
func CollectionParameter(parameter string) Option {
	for row := range CollectionOptions {
		if row.Parameter == parameter {
			return row
		}
	}
	return Option{Name: parameter, Parameter: parameter}
}

// ServerParameters are the parameters of collMod that only servers and tools write.
func ServerParameters() []string {
	return []string{
		"autoIndexId",           // repeated from the options of an old driver
		"collectionUUID",        // a tool's guard
		"dryRun",                // of 6.0 and later: prepares, changes nothing
		"writeConcern",          // of the command, not of the collection
		"recordIdsReplicated",   // setFeatureCompatibilityVersion
		"isTimeseriesNamespace", // of a command that names the buckets
		"timeseriesBucketsMayHaveMixedSchemaData",               // setFeatureCompatibilityVersion
		"timeseriesBucketingParametersHaveChanged",              // setFeatureCompatibilityVersion
		"_removeLegacyTimeseriesBucketingParametersHaveChanged", // setFeatureCompatibilityVersion
	}
}
