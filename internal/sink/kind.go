package sink

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is one kind of sink.
type Kind struct {
	// Name is the first part of a specification.
	Name string
	// Target names what follows the kind, such as PATH; empty if nothing may follow.
	Target string
	// Summary describes the sink in a few words, for the documentation.
	Summary string
	// Options are the keys that a specification may have.
	Options []string
	// FillsQueue is true if one of its sinks is the notification queue.
	FillsQueue bool
	// WritesHistory is true if one of its sinks is the history.
	WritesHistory bool
	// External is true if the target is a separate service, which can be unavailable for
	// longer than the oplog reaches back.
	External bool
	// Variables are those that this kind reads.
	Variables []Variable
	// Check returns what is wrong with a specification and the variables. It is nil if every
	// value is valid.
	Check func(Spec, Values) []Problem
	// Open acquires exclusive resources, such as a lock, and does not wait.
	Open func(Spec, Values, Resources) ([]Output, error)
}

// form is how a specification of the kind begins.
func (k Kind) form() string {
	if k.Target == "" {
		return k.Name
	}
	return k.Name + ":" + k.Target
}

// accepts returns what is wrong with a specification, apart from the checks of the kind.
func (k Kind) accepts(s Spec) error {
	if k.Target == "" && strings.Contains(s.Text, ":") {
		return fmt.Errorf("%s has no target", k.Name)
	}
	if k.Target != "" && s.Target == "" {
		return fmt.Errorf("want %s", k.form())
	}
	for _, key := range slices.Sorted(maps.Keys(s.Options)) {
		if slices.Contains(k.Options, key) {
			continue
		}
		if len(k.Options) == 0 {
			return fmt.Errorf("%s has no options", k.Name)
		}
		return fmt.Errorf("unknown option of %s: want some of %s", k.Name, strings.Join(k.Options, ", "))
	}
	return nil
}

// Variable is an environment variable that a kind reads.
type Variable struct {
	// Name is without the prefix DDLTAIL_.
	Name, Default, Description string
}

// Values are the values of the kinds' variables by name; those not set are missing.
type Values map[string]string

// String hides the values, because some are secrets.
func (Values) String() string { return "(variables of sinks)" }

// Problem is an invalid variable.
type Problem struct {
	// Variable is without the prefix DDLTAIL_.
	Variable, Text string
}

// Registry lists the kinds of sinks.
type Registry []Kind

// Forms lists how specifications begin.
func (r Registry) Forms() string {
	forms := make([]string, len(r))
	for i, k := range r {
		forms[i] = k.form()
	}
	return strings.Join(forms, ", ")
}

// Summary lists the kinds with their summaries.
func (r Registry) Summary() string {
	lines := make([]string, len(r))
	for i, k := range r {
		lines[i] = k.form() + " (" + k.Summary + ")"
	}
	return strings.Join(lines, ", ")
}

// Variables lists the variables of all kinds.
func (r Registry) Variables() []Variable {
	var vars []Variable
	for _, k := range r {
		vars = append(vars, k.Variables...)
	}
	return vars
}

// Parse reads one specification.
func (r Registry) Parse(text string) (Spec, error) {
	s, err := parseSpec(text)
	k, known := r.kind(s.Kind)
	if !known {
		return s, fmt.Errorf("want some of %s", r.Forms())
	}
	return s, cmp.Or(err, k.accepts(s))
}

// Check returns what is wrong with the specifications and the variables of their kinds.
func (r Registry) Check(specs []Spec, v Values) []Problem {
	var problems []Problem
	for _, s := range specs {
		if k, ok := r.kind(s.Kind); ok && k.Check != nil {
			for _, p := range k.Check(s, v) {
				if !slices.Contains(problems, p) {
					problems = append(problems, p)
				}
			}
		}
	}
	return problems
}

// FillQueue reports whether one of the sinks is the notification queue.
func (r Registry) FillQueue(specs []Spec) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool {
		k, ok := r.kind(s.Kind)
		return ok && k.FillsQueue
	})
}

// WriteHistory reports whether one of the sinks is the history.
func (r Registry) WriteHistory(specs []Spec) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool {
		k, ok := r.kind(s.Kind)
		return ok && k.WritesHistory
	})
}

// Open opens the sinks, in the order in which they are written. A collection that two
// specifications name is opened once.
func (r Registry) Open(specs []Spec, v Values, res Resources) ([]Output, error) {
	var outputs []Output
	for _, s := range specs {
		k, ok := r.kind(s.Kind)
		if !ok {
			continue // Parse accepts no other
		}
		opened, err := k.Open(s, v, res)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the sink %s: %w", s.Name, err), Close(outputs))
		}
		for _, o := range opened {
			o.BestEffort, o.External = s.BestEffort, k.External
			outputs = append(outputs, o)
		}
	}
	slices.SortStableFunc(outputs, func(a, b Output) int { return cmp.Compare(b.Role, a.Role) })
	return slices.CompactFunc(outputs, func(a, b Output) bool { return a.Role != Copy && a.Role == b.Role }), nil
}

// Close closes sinks.
func Close(outputs []Output) error {
	var errs []error
	for _, o := range outputs {
		if err := o.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the sink %s: %w", o.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (r Registry) kind(name string) (Kind, bool) {
	i := slices.IndexFunc(r, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return r[i], true
}

// HistoryName is the history's name among the sinks.
const HistoryName = "history"

// Checkpoint and Catalog name ddltail's other collections where a sink is named, in errors and metrics. No sink can have these names.
const (
	Checkpoint = "checkpoint"
	Catalog    = "catalog"
)
