package notification

import "slices"

// Operation is the kind of a change. Consumers rely on these names.
type Operation string

// The operations of notifications.
const (
	CreateCollection  Operation = "CREATE_COLLECTION"
	DropCollection    Operation = "DROP_COLLECTION"
	CreateIndex       Operation = "CREATE_INDEX"
	DropIndex         Operation = "DROP_INDEX"
	ModifyCollection  Operation = "MODIFY_COLLECTION"
	RenameCollection  Operation = "RENAME_COLLECTION"
	DropDatabase      Operation = "DROP_DATABASE"
	CreateView        Operation = "CREATE_VIEW"
	ModifyView        Operation = "MODIFY_VIEW"
	DropView          Operation = "DROP_VIEW"
	ConvertToCapped   Operation = "CONVERT_TO_CAPPED"
	ReplaceCollection Operation = "REPLACE_COLLECTION"
	AbortIndexBuild   Operation = "ABORT_INDEX_BUILD"
	ShardCollection   Operation = "SHARD_COLLECTION"
	RefineShardKey    Operation = "REFINE_SHARD_KEY"
	ReshardCollection Operation = "RESHARD_COLLECTION"
	HistoryGap        Operation = "HISTORY_GAP"
	UnknownCommand    Operation = "UNKNOWN_COMMAND"
)

// Operations lists all of them, in the order of the documentation.
func Operations() []Operation {
	return []Operation{
		CreateCollection, DropCollection, CreateIndex, DropIndex, ModifyCollection, RenameCollection,
		DropDatabase, CreateView, ModifyView, DropView, ConvertToCapped, ReplaceCollection, AbortIndexBuild,
		ShardCollection, RefineShardKey, ReshardCollection, HistoryGap, UnknownCommand,
	}
}

// RemovesCollection reports whether a collection no longer exists under its name after the operation.
func (o Operation) RemovesCollection() bool { return o == DropCollection || o == RenameCollection }

// OnIndex reports whether the operation names an index.
func (o Operation) OnIndex() bool {
	return o == CreateIndex || o == DropIndex || o == AbortIndexBuild
}

// OnCollection reports whether the operation names a collection or view. It is false for
// an operation that ddltail does not know.
func (o Operation) OnCollection() bool {
	switch o {
	case DropDatabase, HistoryGap, UnknownCommand:
		return false
	}
	return slices.Contains(Operations(), o)
}
