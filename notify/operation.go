package notify

import "github.com/ddltail/ddltail/internal/notification"

// The operations of a Change that programs write by hand. All operations of ddltail are
// accepted; those that only a detector writes are left out here.
const (
	CreateCollection  = string(notification.CreateCollection)
	DropCollection    = string(notification.DropCollection)
	CreateIndex       = string(notification.CreateIndex)
	DropIndex         = string(notification.DropIndex)
	ModifyCollection  = string(notification.ModifyCollection)
	RenameCollection  = string(notification.RenameCollection)
	DropDatabase      = string(notification.DropDatabase)
	CreateView        = string(notification.CreateView)
	ModifyView        = string(notification.ModifyView)
	DropView          = string(notification.DropView)
	ConvertToCapped   = string(notification.ConvertToCapped)
	ReplaceCollection = string(notification.ReplaceCollection)
	ShardCollection   = string(notification.ShardCollection)
	RefineShardKey    = string(notification.RefineShardKey)
	ReshardCollection = string(notification.ReshardCollection)
)
