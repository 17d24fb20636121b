package option

import "github.com/ddltail/ddltail/internal/risk"

// Collection returns the row of an option of a collection or a view. Options that are not in the table
// are set by users and cannot be changed by collMod.
func Collection(name string) Option { return find(name, CollectionOptions) }

// CollectionOptions yields every row of the table.
func CollectionOptions(yield func(Option) bool) {
	rows := [...]Option{
		{Name: "validator", Why: "an empty one validates nothing; on buckets the server writes its own",
			Origin: Buckets, Default: isEmptyDocument, Parameter: "validator", Off: `{}`, Helper: true,
			Risk: Risk{Level: risk.Breaking, Why: "writes that were valid may fail, and documents may no longer be what readers expect"}},
		{Name: "validationLevel", Why: "collMod stores the default explicitly and cannot remove it",
			Default: isStrict, Parameter: "validationLevel", Off: `"strict"`, Helper: true, Reading: String,
			Risk: Risk{Level: risk.Breaking, Why: "the validator applies to other documents"}},
		{Name: "validationAction", Why: "collMod stores the default explicitly and cannot remove it",
			Default: isError, Parameter: "validationAction", Off: `"error"`, Helper: true, Reading: String,
			Risk: Risk{Level: risk.Breaking, Why: "invalid writes fail, or are no longer refused"}},
		{Name: "changeStreamPreAndPostImages", Why: "listed by 6.0 and later only where enabled",
			Default: isDisabled, Parameter: "changeStreamPreAndPostImages", Off: `{"enabled": false}`, Helper: true},
		{Name: "recordPreImages", Why: "4.4 and 5.0 only; mongosh's helper omits it",
			Default: isFalse, Parameter: "recordPreImages", Off: `false`, Reading: Bool},
		{Name: "expireAfterSeconds", Why: "of a time series or a clustered collection; collMod removes it by a string",
			Default:   isString,
			Parameter: "expireAfterSeconds", Off: `"off"`, Limit: true, Helper: true, Reading: Integer,
			Risk: Risk{Level: risk.Destructive, Why: "a new or earlier expiry deletes documents", When: expiresEarlier}},
		{Name: "capped", Why: "only convertToCapped converts a collection to capped; no command reverts it",
			Default: isFalse, Helper: true, Reading: Bool},
		{Name: "size", Why: "of a capped collection, in bytes; it cannot be removed",
			Parameter: "cappedSize", CappedOnly: true, Since: "6.0", Limit: true, Helper: true, Reading: CappedSize,
			Risk: Risk{Level: risk.Destructive, Why: "a smaller capped collection deletes its oldest documents", When: shrinks}},
		{Name: "max", Why: "of a capped collection; a server writes 2147483647 for none, and so does a maximum of 0",
			Default: isUnlimited, Parameter: "cappedMax", Off: `0`, CappedOnly: true, Since: "6.0", Limit: true, Helper: true, Reading: Integer,
			Risk: Risk{Level: risk.Destructive, Why: "a lower maximum number of documents deletes the oldest ones", When: shrinks}},
		{Name: "timeseries", Why: "collMod can only make the granularity coarser",
			Parameter: "timeseries", Helper: true},
		{Name: "collation", Why: "{} means no collation", Default: isEmptyDocument, Helper: true},
		{Name: "clusteredIndex", Why: "on buckets the server writes true", Origin: Buckets, Helper: true},
		{Name: "storageEngine", Why: "set by users, except app_metadata, which the server writes for buckets",
			Default: isAppMetadata, Helper: true},
		{Name: "indexOptionDefaults", Why: "create accepts it, no collMod changes it", Helper: true},
		{Name: "viewOn", Why: "of a view", Helper: true,
			Risk: Risk{Level: risk.Breaking, Why: "readers of the view get other documents"}},
		{Name: "pipeline", Why: "of a view", Helper: true,
			Risk: Risk{Level: risk.Breaking, Why: "readers of the view get other documents"}},
		{Name: "autoIndexId", Why: "stored from old drivers without effect: a replica set always creates _id_; not every server lists it",
			Origin: Server, Default: anyValue},
		{Name: "create", Why: "the first field of the command in an oplog entry", Origin: Server},
		{Name: "temp", Why: "marks a temporary collection: Definition.Temporary", Origin: Server, Default: anyValue},
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
		"collectionUUID",        // a precondition on the collection's UUID
		"dryRun",                // of 6.0 and later: prepares, changes nothing
		"writeConcern",          // of the command, not of the collection
		"recordIdsReplicated",   // setFeatureCompatibilityVersion
		"isTimeseriesNamespace", // of a command that names the buckets
		"timeseriesBucketsMayHaveMixedSchemaData",               // setFeatureCompatibilityVersion
		"timeseriesBucketingParametersHaveChanged",              // setFeatureCompatibilityVersion
		"_removeLegacyTimeseriesBucketingParametersHaveChanged", // setFeatureCompatibilityVersion
	}
}
