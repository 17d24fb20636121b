package notification

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// Risk is what a change can do to documents and applications.
type Risk string

// The risks, the most severe first.
const (
	// Destructive: documents are deleted or will be deleted.
	Destructive Risk = "destructive"
	// Breaking: an application may fail or slow down.
	Breaking Risk = "breaking"
	// UnknownRisk: the change is not known.
	UnknownRisk Risk = "unknown"
	// Routine: any other change.
	Routine Risk = "routine"
)

// Risks lists all risks, the most severe first.
func Risks() []Risk { return []Risk{Destructive, Breaking, UnknownRisk, Routine} }

// severity orders risks: the most severe is 0.
func (r Risk) severity() int { return slices.Index(Risks(), r) }

// Compare orders risks, the most severe first.
func (r Risk) Compare(other Risk) int { return r.severity() - other.severity() }

// Max returns the more severe of two risks.
func (r Risk) Max(other Risk) Risk {
	if other.Compare(r) < 0 {
		return other
	}
	return r
}

// Risk returns the risk of a change. It depends only on the change.
func (c Change) Risk() Risk {
	row, ok := operationRisks()[c.Operation]
	if !ok {
		return UnknownRisk
	}
	if row.refine != nil {
		return row.refine(c)
	}
	return row.risks[0]
}

// PossibleRisks returns the risks that changes of an operation can have.
func (o Operation) PossibleRisks() []Risk {
	if row, ok := operationRisks()[o]; ok {
		return row.risks
	}
	return []Risk{UnknownRisk}
}

// operationRisk lists the possible risks of an operation, and the reason. If there are
// several, refine selects one for a change.
type operationRisk struct {
	risks  []Risk
	reason string
	refine func(Change) Risk
}

func operationRisks() map[Operation]operationRisk {
	return map[Operation]operationRisk{
		CreateCollection:  {[]Risk{Routine}, "adds an empty collection", nil},
		DropCollection:    {[]Risk{Destructive, Routine}, "deletes the documents, unless the collection is known to be empty", unlessEmpty},
		CreateIndex:       {[]Risk{Destructive, Breaking, Routine}, "can delete documents (TTL) or refuse writes (unique) on a collection in use; see indexRisks", createIndexRisk},
		DropIndex:         {[]Risk{Breaking}, "queries that used the index slow down, hints fail, uniqueness is no longer enforced", nil},
		ModifyCollection:  {[]Risk{Destructive, Breaking, UnknownRisk, Routine}, "depends on the parameters; see collectionRisks and indexRisks", modifyRisk},
		RenameCollection:  {[]Risk{Breaking}, "applications that use the old name no longer find the documents", nil},
		DropDatabase:      {[]Risk{Destructive, Routine}, "deletes the documents, unless every collection is known to be empty", unlessEmpty},
		CreateView:        {[]Risk{Routine}, "adds a view; no document changes", nil},
		ModifyView:        {[]Risk{Breaking}, "readers of the view get other documents", nil},
		DropView:          {[]Risk{Breaking}, "reads of the view return nothing; the documents are in its collection", nil},
		ConvertToCapped:   {[]Risk{Destructive}, "deletes the oldest documents beyond the size, and all indexes", nil},
		ReplaceCollection: {[]Risk{Destructive}, "deletes all documents that the collection held", nil},
		AbortIndexBuild:   {[]Risk{Routine}, "the index was never available", nil},
		ShardCollection:   {[]Risk{Breaking}, "operations without the shard key are sent to every shard or refused", nil},
		RefineShardKey:    {[]Risk{Breaking}, "operations with only the old shard key are sent to more shards", nil},
		ReshardCollection: {[]Risk{Breaking}, "operations with the old shard key are sent to every shard", nil},
		HistoryGap:        {[]Risk{UnknownRisk}, "what happened in the gap is known only from a comparison", nil},
		UnknownCommand:    {[]Risk{UnknownRisk}, "what the command does is not known", nil},
	}
}

func unlessEmpty(c Change) Risk {
	if c.Empty {
		return Routine
	}
	return Destructive
}

// optionRisk is the risk of setting one option to a value, and the reason. when reports
// whether the value has this risk; nil for every value that differs from the previous one.
type optionRisk struct {
	option string
	risk   Risk
	reason string
	when   func(value, previous bson.RawValue) bool
}

// indexRisks lists the options of an index with a risk on a collection in use. All
// others are routine.
func indexRisks() []optionRisk {
	return []optionRisk{
		{"expireAfterSeconds", Destructive, "a new TTL index or an earlier expiry deletes documents", expiresEarlier},
		{"unique", Breaking, "writes of duplicates fail", turnedOn},
		{"prepareUnique", Breaking, "writes of duplicates fail, although the index is not unique yet", turnedOn},
		{"hidden", Breaking, "queries no longer use the index", turnedOn},
	}
}

// collectionRisks lists the options of a collection with a risk when a collMod sets them,
// by their names as parameters. All others are routine.
func collectionRisks() []optionRisk {
	return []optionRisk{
		{"expireAfterSeconds", Destructive, "a new or earlier expiry deletes documents", expiresEarlier},
		{"cappedSize", Destructive, "a smaller capped collection deletes its oldest documents", shrinks},
		{"cappedMax", Destructive, "a lower maximum number of documents deletes the oldest ones", shrinks},
		{"validator", Breaking, "writes that were valid may fail, and documents may no longer be what readers expect", nil},
		{"validationLevel", Breaking, "the validator applies to other documents", nil},
		{"validationAction", Breaking, "invalid writes fail, or are no longer refused", nil},
		{"viewOn", Breaking, "readers of the view get other documents", nil},
		{"pipeline", Breaking, "readers of the view get other documents", nil},
	}
}

// catalogName returns the name of a collMod parameter in the options of a collection.
func catalogName(parameter string) string {
	switch parameter {
	case "cappedSize":
		return "size"
	case "cappedMax":
		return "max"
	}
	return parameter
}

// expiresEarlier reports whether an expiry is new, or shorter than the previous one.
func expiresEarlier(value, previous bson.RawValue) bool {
	seconds, ok := value.AsInt64OK()
	if !ok {
		return false // "off", or no expiry
	}
	before, had := previous.AsInt64OK()
	return !had || seconds < before
}

// shrinks reports whether a limit is new or smaller; 0 means no limit.
func shrinks(value, previous bson.RawValue) bool {
	limit, _ := value.AsInt64OK()
	before, had := previous.AsInt64OK()
	return limit > 0 && (!had || before <= 0 || limit < before)
}

// turnedOn reports whether a flag is set and was not set before.
func turnedOn(value, previous bson.RawValue) bool {
	return rawdoc.Truthy(value) && !rawdoc.Truthy(previous)
}

// createIndexRisk returns the risk of a new index. An index that is hidden at its creation
// was never used by queries.
func createIndexRisk(c Change) Risk {
	if c.New {
		return Routine
	}
	risk := Routine
	for _, row := range indexRisks() {
		if row.option != "hidden" && row.applies(c.After.Lookup(row.option), bson.RawValue{}) {
			risk = risk.Max(row.risk)
		}
	}
	return risk
}

// modifyRisk returns the most severe risk of the parameters of a collMod. Without parameters
// it is the risk of the difference between the definitions; without definitions it is
// unknown.
func modifyRisk(c Change) Risk {
	rows := collectionRisks()
	parameters, previous := c.Parameters, c.Previous
	if index, ok := parameters.Lookup("index").DocumentOK(); ok {
		rows, parameters = indexRisks(), index
	}
	value := func(option string) bson.RawValue { return parameters.Lookup(option) }
	if parameters == nil {
		if c.After == nil {
			return UnknownRisk
		}
		if c.IndexName != "" {
			rows = indexRisks()
		}
		previous = c.Before
		value = func(option string) bson.RawValue { return present(c.After, c.Before, catalogName(option)) }
	}
	risk := Routine
	for _, row := range rows {
		if row.applies(value(row.option), previous.Lookup(catalogName(row.option))) {
			risk = risk.Max(row.risk)
		}
	}
	return risk
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
func RiskOf(doc bson.Raw) Risk {
	text, _ := doc.Lookup("risk").StringValueOK()
	if r := Risk(text); slices.Contains(Risks(), r) {
		return r
	}
	operation, _ := doc.Lookup("operation").StringValueOK()
	index, _ := doc.Lookup("index_name").StringValueOK()
	before, _ := doc.Lookup("before").DocumentOK()
	after, _ := doc.Lookup("after").DocumentOK()
	return Change{Operation: Operation(operation), IndexName: index, Before: before, After: after}.Risk()
}

// applies reports whether an option has its risk with this value. An unset option has no risk.
func (r optionRisk) applies(value, previous bson.RawValue) bool {
	if value.IsZero() || value.Equal(previous) {
		return false
	}
	return r.when == nil || r.when(value, previous)
}
