package oplog

// What a Reader asks the server for, to be tried on entries of any server.
var (
	Filter     = filter
	Projection = projection
	Unproject  = unproject
)
