package option

import "github.com/ddltail/ddltail/internal/risk"

// Index returns the row of an option of an index. Options that are not in the table are set
// by users and cannot be changed by collMod.
func Index(name string) Option { return find(name, IndexOptions) }

// IndexOptions yields every row of the table.
func IndexOptions(yield func(Option) bool) {
	rows := [...]Option{
		{Name: "unique", Why: "collMod converts an index to unique after prepareUnique; no command reverts it",
			Default: isFalse, Parameter: "unique", Since: "6.0", Helper: true, Reading: Bool,
			Risk: Risk{Level: risk.Breaking, Why: "writes of duplicates fail", When: turnedOn}},
		{Name: "prepareUnique", Why: "converting the index to unique removes it; mongosh's helper omits it",
			Default: isFalse, Parameter: "prepareUnique", Off: `false`, Since: "6.0", Reading: Bool,
			Risk: Risk{Level: risk.Breaking, Why: "writes of duplicates fail, although the index is not unique yet", When: turnedOn}},
		{Name: "hidden", Why: "stored only if it is true", Default: isFalse, Parameter: "hidden", Off: `false`, Helper: true, Reading: Bool,
			Risk: Risk{Level: risk.Breaking, Why: "queries no longer use the index", When: turnedOn}},
		{Name: "expireAfterSeconds", Why: "collMod changes it and, from 5.1, adds it; nothing removes it",
			Parameter: "expireAfterSeconds", Limit: true, Helper: true, Reading: Expiry,
			Risk: Risk{Level: risk.Destructive, Why: "a new TTL index or an earlier expiry deletes documents", When: expiresEarlier}},
		{Name: "sparse", Why: "stored as it was written", Default: isFalse, Helper: true, Reading: Bool},
		{Name: "partialFilterExpression", Why: "cannot be changed", Helper: true},
		{Name: "collation", Why: "{} means no collation", Default: isEmptyDocument, Helper: true},
		{Name: "storageEngine", Why: "cannot be changed", Helper: true},
		{Name: "weights", Why: "of a text index; 1 is left out", Helper: true},
		{Name: "default_language", Why: "of a text index", Implied: "english", ImpliedBy: "text", Helper: true},
		{Name: "language_override", Why: "of a text index", Implied: "language", ImpliedBy: "text", Helper: true},
		{Name: "textIndexVersion", Why: "of a text index", Implied: 3, ImpliedBy: "text", Helper: true, Reading: Integer},
		{Name: "2dsphereIndexVersion", Why: "of a 2dsphere index", Implied: 3, ImpliedBy: "2dsphere", Helper: true, Reading: Integer},
		{Name: "finestIndexedLevel", Why: "of a 2dsphere index; mongosh's helper omits it", Reading: Integer},
		{Name: "coarsestIndexedLevel", Why: "of a 2dsphere index; mongosh's helper omits it", Reading: Integer},
		{Name: "bits", Why: "of a 2d index", Helper: true, Reading: Integer},
		{Name: "min", Why: "of a 2d index", Helper: true, Reading: Double},
		{Name: "max", Why: "of a 2d index", Helper: true, Reading: Double},
		{Name: "bucketSize", Why: "of a geoHaystack index, up to 4.4", Helper: true, Reading: Double},
		{Name: "wildcardProjection", Why: "of a wildcard index", Helper: true},
		{Name: "v", Why: "2 since 3.4; mongosh's helper omits it", Implied: 2, Reading: Integer},
		{Name: "key", Why: "written apart from the options", Origin: Server},
		{Name: "name", Why: "written apart from the options", Origin: Server},
		{Name: "ns", Why: "stored up to 4.2", Origin: Server},
		{Name: "createIndexes", Why: "the first field of the command in an oplog entry", Origin: Server},
		{Name: "background", Why: "ignored from 4.2 on, but stored", Origin: Server, Default: isFalse, Reading: Bool},
		{Name: "dropDups", Why: "ignored from 3.0 on, but stored", Origin: Server},
		{Name: "clustered", Why: "listed for a clustered collection", Origin: Server},
		{Name: "originalSpec", Why: "of an index on buckets: what the user wrote", Origin: Server},
	}
	for _, row := range rows {
		if !yield(row) {
			return
		}
	}
}
