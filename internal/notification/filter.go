package notification

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/risk"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// Rules are the text form of a filter: environment, flags and receivers have the same
// syntax. Each list holds globs, where * matches any characters, including dots. An item
// that begins with ! excludes; \! is a name that begins with !. A list selects what matches
// one of its items (everything, if it only excludes) and none of its exclusions. A change
// must be selected by all lists. The zero value selects everything.
type Rules struct {
	Operations, Namespaces, Risk, User, App []string
}

// Filter selects changes. The zero value selects all.
type Filter struct {
	operations, namespaces, risk, user, app choice
}

// NewFilter checks the rules: an item of Operations or Risk must match at least one existing
// value. It returns a *RuleError for the first invalid item.
func NewFilter(r Rules) (Filter, error) {
	operations, err := closed("operations", upper(r.Operations), names(Operations()))
	if err != nil {
		return Filter{}, err
	}
	risks, err := closed("risk", r.Risk, names(risk.All()))
	if err != nil {
		return Filter{}, err
	}
	return Filter{
		operations: operations, namespaces: newChoice(r.Namespaces), risk: risks,
		user: newChoice(r.User), app: newChoice(r.App),
	}, nil
}

// RuleError is returned for an item that matches no existing value.
type RuleError struct {
	// Field is the list, Item the item as it was written, Want the existing values.
	Field, Item string
	Want        []string
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("%s: %q matches none of %v", e.Field, e.Item, e.Want)
}

// Passes reports whether the filter selects a change whose actor is not known.
func (f Filter) Passes(c Change) bool {
	return f.selects(facts{
		operation: c.Operation, risk: c.Risk(), namespaces: namespacesOf(c.Database, c.Collection, c.To),
	})
}

// Includes reports whether the filter selects a stored notification.
func (f Filter) Includes(doc bson.Raw) bool {
	text := func(path ...string) string {
		s, _ := doc.Lookup(path...).StringValueOK()
		return s
	}
	known := facts{
		operation: Operation(text("operation")), risk: RiskOf(doc),
		namespaces: namespacesOf(text("database"), text("collection"), text("to")),
	}
	if user := text("actor", "user"); user != "" {
		known.users = []string{user}
	}
	if array, ok := doc.Lookup("actor", "users").ArrayOK(); ok {
		values, _ := array.Values()
		for _, v := range values {
			if user, ok := v.StringValueOK(); ok {
				known.users = append(known.users, user)
			}
		}
	}
	if app := text("actor", "app"); app != "" {
		known.apps = []string{app}
	}
	return f.selects(known)
}

// facts is what a filter evaluates.
type facts struct {
	operation   Operation
	risk        risk.Level
	namespaces  []string
	users, apps []string
}

// namespacesOf returns the names by which a change is selected: a rename by both its
// names, a DROP_DATABASE as "database.".
func namespacesOf(database, collection, to string) []string {
	found := []string{database + "." + collection}
	if to != "" {
		found = append(found, to)
	}
	return found
}

// selects applies the rules. HISTORY_GAP, UNKNOWN_COMMAND and an unknown risk pass unless
// they are excluded by name: the change could be one that the rules select.
func (f Filter) selects(known facts) bool {
	operation, level := string(known.operation), string(known.risk)
	if f.operations.excludes(operation) || f.risk.excludes(level) {
		return false
	}
	if known.operation == HistoryGap || known.operation == UnknownCommand {
		return true
	}
	return f.operations.includes(operation) &&
		(known.risk == risk.Unknown || f.risk.includes(level)) &&
		f.namespaces.includes(known.namespaces...) && !f.namespaces.excludes(known.namespaces...) &&
		f.user.includes(known.users...) && !f.user.excludesAll(known.users) &&
		f.app.includes(known.apps...) && !f.app.excludesAll(known.apps)
}

// Select returns the operations that the rules select by name, nil if they do not
// restrict them.
func (f Filter) Select() []Operation {
	if f.operations.isZero() {
		return nil
	}
	return slices.DeleteFunc(Operations(), func(o Operation) bool {
		return f.operations.excludes(string(o)) ||
			o != HistoryGap && o != UnknownCommand && !f.operations.includes(string(o))
	})
}

// SelectRisks returns the risks that the rules select, nil if they do not restrict them.
func (f Filter) SelectRisks() []risk.Level {
	if f.risk.isZero() {
		return nil
	}
	return slices.DeleteFunc(risk.All(), func(r risk.Level) bool {
		return f.risk.excludes(string(r)) || r != risk.Unknown && !f.risk.includes(string(r))
	})
}

// Globs splits a list into the globs that it includes and excludes.
func Globs(items []string) (include, exclude []string) {
	for _, item := range items {
		if rest, ok := strings.CutPrefix(item, "!"); ok {
			exclude = append(exclude, rest)
			continue
		}
		if strings.HasPrefix(item, `\!`) {
			item = item[1:]
		}
		include = append(include, item)
	}
	return include, exclude
}

// choice is one parsed list.
type choice struct{ include, exclude []*regexp.Regexp }

func newChoice(items []string) choice {
	include, exclude := Globs(items)
	return choice{include: globs(include), exclude: globs(exclude)}
}

// closed returns the choice of a list with a fixed set of values.
func closed(field string, items, values []string) (choice, error) {
	for _, item := range items {
		only := newChoice([]string{strings.TrimPrefix(item, "!")})
		if !slices.ContainsFunc(values, func(v string) bool { return only.includes(v) }) {
			return choice{}, &RuleError{Field: field, Item: item, Want: values}
		}
	}
	return newChoice(items), nil
}

func (c choice) isZero() bool { return len(c.include) == 0 && len(c.exclude) == 0 }

func (c choice) includes(values ...string) bool {
	return len(c.include) == 0 || matchAny(c.include, values)
}

func (c choice) excludes(values ...string) bool { return matchAny(c.exclude, values) }

// excludesAll reports whether every value is excluded: if a connection had several users, any
// of them may have made the change.
func (c choice) excludesAll(values []string) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !c.excludes(v) })
}

func names[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func upper(items []string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = strings.ToUpper(item)
	}
	return out
}

func globs(patterns []string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, p := range patterns {
		out = append(out, regexp.MustCompile("(?s)"+GlobPattern(p)))
	}
	return out
}

// GlobPattern returns the regular expression of a glob, for Go and for the server, with
// the option s.
func GlobPattern(glob string) string {
	parts := strings.Split(glob, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return "^" + strings.Join(parts, ".*") + `\z`
}

func matchAny(patterns []*regexp.Regexp, names []string) bool {
	for _, p := range patterns {
		if slices.ContainsFunc(names, p.MatchString) {
			return true
		}
	}
	return false
}
