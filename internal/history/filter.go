package history

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
)

// filters returns the alternative filters for changes of a kind. Each alternative is read
// separately, in the order of _id; a change that matches several is returned once.
func (q Query) filters(kind notification.IDKind) []bson.D {
	operations, risks := q.Filter.Select(), q.Filter.SelectRisks()
	if operations == nil && risks == nil && len(q.Namespaces) == 0 {
		return []bson.D{q.actorCondition()}
	}
	always := alwaysSelected(operations, risks)
	if kind == notification.IDGap {
		if slices.Contains(always, notification.HistoryGap) {
			return []bson.D{{}}
		}
		return nil
	}
	var filters []bson.D
	if slices.Contains(always, notification.UnknownCommand) {
		filters = append(filters, bson.D{{Key: "operation", Value: string(notification.UnknownCommand)}})
	}
	only := q.actorCondition()
	if operations != nil {
		only = append(only, bson.E{Key: "operation", Value: anyOf(operations)})
	}
	if risks != nil {
		only = append(only, ofRisk(risks))
	}
	for _, names := range namespaceConditions(q.Namespaces, operations) {
		filters = append(filters, join(names, only))
	}
	return filters
}

// anyOf matches one of the values, by equality if there is one.
func anyOf[T any](values []T) any {
	if len(values) == 1 {
		return values[0]
	}
	return bson.D{{Key: "$in", Value: values}}
}

// alwaysSelected returns the operations that are selected unless they are excluded:
// HISTORY_GAP and UNKNOWN_COMMAND, after which changes may be missing.
func alwaysSelected(operations []notification.Operation, risks []risk.Level) []notification.Operation {
	if risks != nil && !slices.Contains(risks, risk.Unknown) {
		return nil
	}
	var found []notification.Operation
	for _, o := range []notification.Operation{notification.HistoryGap, notification.UnknownCommand} {
		if operations == nil || slices.Contains(operations, o) {
			found = append(found, o)
		}
	}
	return found
}

// ofRisk selects by risk. Changes recorded by earlier releases have no risk, and are selected
// if their operation can have one of these risks.
func ofRisk(risks []risk.Level) bson.E {
	possible := bson.A{}
	for _, o := range notification.Operations() {
		if slices.ContainsFunc(o.PossibleRisks(), func(r risk.Level) bool { return slices.Contains(risks, r) }) {
			possible = append(possible, string(o))
		}
	}
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "risk", Value: anyOf(risks)}},
		bson.D{{Key: "risk", Value: bson.D{{Key: "$exists", Value: false}}}, {Key: "operation", Value: bson.D{{Key: "$in", Value: possible}}}},
	}}
}

// namespaceConditions returns the alternatives by which namespaces are selected: a rename
// by both its names, a DROP_DATABASE as "database.".
func namespaceConditions(items []string, operations []notification.Operation) []bson.D {
	include, exclude := notification.Globs(items)
	exclusion := bson.D{}
	if len(exclude) > 0 {
		excluded := bson.A{}
		for _, glob := range exclude {
			excluded = append(excluded, databaseCondition(glob))
		}
		not := bson.D{{Key: "$nin", Value: globFilters(exclude)}}
		exclusion = bson.D{{Key: "ns", Value: not}, {Key: "to", Value: not}, {Key: "$nor", Value: excluded}}
	}
	if len(include) == 0 {
		return []bson.D{exclusion}
	}
	matched := anyOf(globFilters(include))
	found := []bson.D{
		join(bson.D{{Key: "ns", Value: matched}}, exclusion),
		join(bson.D{{Key: "to", Value: matched}}, exclusion),
	}
	if operations != nil && !slices.Contains(operations, notification.DropDatabase) {
		return found
	}
	for _, glob := range include {
		found = append(found, join(databaseCondition(glob), exclusion))
	}
	return found
}

// databaseCondition selects the drops of databases whose "database." matches the glob.
func databaseCondition(glob string) bson.D {
	return bson.D{
		{Key: "operation", Value: string(notification.DropDatabase)},
		{Key: "$expr", Value: bson.D{{Key: "$regexMatch", Value: bson.D{
			{Key: "input", Value: bson.D{{Key: "$concat", Value: bson.A{"$database", "."}}}},
			{Key: "regex", Value: notification.GlobPattern(glob)},
			{Key: "options", Value: "s"},
		}}}},
	}
}

// join combines conditions with AND. They may name a field more than once.
func join(parts ...bson.D) bson.D {
	joined := bson.D{}
	for _, p := range parts {
		joined = append(joined, p...)
	}
	return joined
}

func globFilters(globs []string) bson.A {
	filters := bson.A{}
	for _, glob := range globs {
		filters = append(filters, globFilter(glob))
	}
	return filters
}

// globFilter matches a field: a glob without a star by equality, others by a regular expression
// that is anchored at both ends, so that an index can use its prefix.
func globFilter(glob string) any {
	if !strings.Contains(glob, "*") {
		return glob
	}
	return bson.Regex{Pattern: notification.GlobPattern(glob), Options: "s"}
}
