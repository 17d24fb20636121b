package oplog

// The query filter and the projection of a Reader, exported so that tests can apply them to
// entries of any server version. Unproject restores the shape of a projected entry.
var (
	Filter     = filter
	Projection = projection
	Unproject  = unproject
)
