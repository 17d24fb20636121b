package notification

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// Risk returns the risk of a change. It depends only on the change.
func (c Change) Risk() risk.Level {
	row, ok := operationRisks()[c.Operation]
	if !ok {
		return risk.Unknown
	}
	if row.refine != nil {
		return row.refine(c)
	}
	return row.risks[0]
}

// PossibleRisks returns the risks that changes of an operation can have.
func (o Operation) PossibleRisks() []risk.Level {
	if row, ok := operationRisks()[o]; ok {
		return row.risks
	}
	return []risk.Level{risk.Unknown}
}

// operationRisk lists the possible risks of an operation, and the reason. If there are
// several, refine selects one for a change.
type operationRisk struct {
	risks  []risk.Level
	reason string
	refine func(Change) risk.Level
}

func operationRisks() map[Operation]operationRisk {
	return map[Operation]operationRisk{
		CreateCollection:  {[]risk.Level{risk.Routine}, "adds an empty collection", nil},
		DropCollection:    {[]risk.Level{risk.Destructive, risk.Routine}, "deletes the documents, unless the collection is known to be empty", unlessEmpty},
		CreateIndex:       {[]risk.Level{risk.Destructive, risk.Breaking, risk.Routine}, "can delete documents (TTL) or refuse writes (unique) on a collection in use: see the options of an index below", createIndexRisk},
		DropIndex:         {[]risk.Level{risk.Breaking}, "queries that used the index slow down, hints fail, uniqueness is no longer enforced", nil},
		ModifyCollection:  {[]risk.Level{risk.Destructive, risk.Breaking, risk.Unknown, risk.Routine}, "depends on the parameters: see the tables of options below", modifyRisk},
		RenameCollection:  {[]risk.Level{risk.Breaking}, "applications that use the old name no longer find the documents", nil},
		DropDatabase:      {[]risk.Level{risk.Destructive, risk.Routine}, "deletes the documents, unless every collection is known to be empty", unlessEmpty},
		CreateView:        {[]risk.Level{risk.Routine}, "adds a view; no document changes", nil},
		ModifyView:        {[]risk.Level{risk.Breaking}, "readers of the view get other documents", nil},
		DropView:          {[]risk.Level{risk.Breaking}, "reads of the view return nothing; the documents are in its collection", nil},
		ConvertToCapped:   {[]risk.Level{risk.Destructive}, "deletes the oldest documents beyond the size, and all indexes", nil},
		ReplaceCollection: {[]risk.Level{risk.Destructive}, "deletes all documents that the collection held", nil},
		AbortIndexBuild:   {[]risk.Level{risk.Routine}, "the index was never available", nil},
		ShardCollection:   {[]risk.Level{risk.Breaking}, "operations without the shard key are sent to every shard or refused", nil},
		RefineShardKey:    {[]risk.Level{risk.Breaking}, "operations with only the old shard key are sent to more shards", nil},
		ReshardCollection: {[]risk.Level{risk.Breaking}, "operations with the old shard key are sent to every shard", nil},
		HistoryGap:        {[]risk.Level{risk.Unknown}, "what happened in the gap is known only from a comparison", nil},
		UnknownCommand:    {[]risk.Level{risk.Unknown}, "what the command does is not known", nil},
	}
}

func unlessEmpty(c Change) risk.Level {
	if c.Empty {
		return risk.Routine
	}
	return risk.Destructive
}

// createIndexRisk returns the risk of a new index. An index that is hidden at its creation
// was never used by queries.
func createIndexRisk(c Change) risk.Level {
	level := risk.Routine
	if c.New {
		return level
	}
	for row := range option.IndexOptions {
		if row.Name != "hidden" {
			level = level.Max(row.Risk.Of(c.After.Lookup(row.Name), bson.RawValue{}))
		}
	}
	return level
}

// modifyRisk returns the most severe risk of the parameters of a collMod. Without parameters
// it is the risk of the difference between the definitions; without definitions it is
// unknown.
func modifyRisk(c Change) risk.Level {
	rows := option.CollectionOptions
	parameters, previous := c.Parameters, c.Previous
	if index, ok := parameters.Lookup("index").DocumentOK(); ok {
		rows, parameters = option.IndexOptions, index
	}
	value := func(o option.Option) bson.RawValue { return parameters.Lookup(o.ParameterName()) }
	if parameters == nil {
		if c.After == nil {
			return risk.Unknown
		}
		if c.IndexName != "" {
			rows = option.IndexOptions
		}
		previous = c.Before
		value = func(o option.Option) bson.RawValue { return present(c.After, c.Before, o.Name) }
	}
	level := risk.Routine
	for row := range rows {
		level = level.Max(row.Risk.Of(value(row), previous.Lookup(row.Name)))
	}
	return level
}

// present returns an option of the definition after; null if it was removed.
func present(after, before bson.Raw, option string) bson.RawValue {
	value := after.Lookup(option)
	if value.IsZero() && !before.Lookup(option).IsZero() {
		return bson.RawValue{Type: bson.TypeNull}
	}
	return value
}

// RiskOf returns the risk of a stored notification: its field risk or, for notifications
// without it (written by hand or by earlier releases), the risk derived from other fields.
func RiskOf(doc bson.Raw) risk.Level {
	text, _ := doc.Lookup("risk").StringValueOK()
	if level := risk.Level(text); slices.Contains(risk.All(), level) {
		return level
	}
	operation, _ := doc.Lookup("operation").StringValueOK()
	index, _ := doc.Lookup("index_name").StringValueOK()
	before, _ := doc.Lookup("before").DocumentOK()
	after, _ := doc.Lookup("after").DocumentOK()
	return Change{Operation: Operation(operation), IndexName: index, Before: before, After: after}.Risk()
}
