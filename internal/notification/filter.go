package notification

import (
	"regexp"
	"slices"
	"strings"
)

// Filter decides which notifications reach queue, stdout and file. The zero
// value passes all. History and catalog are never filtered.
type Filter struct {
	include, exclude []*regexp.Regexp
	operations       []Operation
}

// NewFilter accepts globs on "database.collection", where * matches any
// characters, dots too, and operations; an empty list passes all.
func NewFilter(include, exclude []string, operations []Operation) Filter {
	return Filter{include: globs(include), exclude: globs(exclude), operations: operations}
}

// Passes reports whether a change passes the filter: a rename by either of its names, a
// DROP_DATABASE as "database.". HISTORY_GAP and UNKNOWN_COMMAND always pass.
func (f Filter) Passes(c Change) bool {
	if c.Operation == HistoryGap || c.Operation == UnknownCommand {
		return true
	}
	if len(f.operations) > 0 && !slices.Contains(f.operations, c.Operation) {
		return false
	}
	names := []string{c.Database + "." + c.Collection}
	if c.To != "" {
		names = append(names, c.To)
	}
	return (len(f.include) == 0 || matchAny(f.include, names)) && !matchAny(f.exclude, names)
}

func globs(patterns []string) []*regexp.Regexp {
	out := make([]*regexp.Regexp, 0, len(patterns))
	for _, p := range patterns {
		parts := strings.Split(p, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		out = append(out, regexp.MustCompile(`(?s)^`+strings.Join(parts, ".*")+`$`))
	}
	return out
}

func matchAny(patterns []*regexp.Regexp, names []string) bool {
	for _, p := range patterns {
		if slices.ContainsFunc(names, p.MatchString) {
			return true
		}
	}
	return false
}
