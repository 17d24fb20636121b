package migration

import (
	"strings"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Step is one statement of a script.
type Step struct {
	// Text is the statement; empty if mongosh cannot express it.
	Text string
	// Warning describes what is lost, or what cannot be expressed; usually empty.
	Warning string
	// Destroys is true if documents are deleted.
	Destroys bool
	// Drops is true if the step drops an object, or is part of a rebuild.
	Drops bool
	// Withheld is true if the statement would delete documents, and was omitted.
	Withheld bool
}

// Script is steps in the order in which they run.
type Script []Step

// Destroying counts the steps that delete documents.
func (s Script) Destroying() int { return s.count(func(st Step) bool { return st.Destroys }) }

// Unsaid counts the steps that mongosh cannot express.
func (s Script) Unsaid() int {
	return s.count(func(st Step) bool { return st.Text == "" && !st.Withheld })
}

// Withheld counts the differences that are comments because of the policy.
func (s Script) Withheld() int { return s.count(func(st Step) bool { return st.Withheld }) }

// withoutDrops returns the script with a comment instead of each step that drops or rebuilds an
// object, or that deletes documents.
func (s Script) withoutDrops() Script {
	out := make(Script, len(s))
	for i, st := range s {
		if st.Text != "" && (st.Drops || st.Destroys) {
			why := "NOT DONE (--allow-destructive): "
			if st.Warning != "" {
				why += st.Warning + ": "
			}
			st = Step{Withheld: true, Warning: why + st.Text}
		}
		out[i] = st
	}
	return out
}

func (s Script) count(is func(Step) bool) int {
	n := 0
	for _, st := range s {
		if is(st) {
			n++
		}
	}
	return n
}

// String returns the script for mongosh, with warnings as comments before their statements.
func (s Script) String() string {
	var b strings.Builder
	for _, st := range s {
		if st.Warning != "" {
			b.WriteString("// " + terminal.Escape(st.Warning) + "\n")
		}
		if st.Text != "" {
			b.WriteString(st.Text + "\n")
		}
	}
	return b.String()
}

// step returns the step of a statement; a warning if mongosh cannot express it.
func step(text, what string, ns schema.Namespace) Step {
	if text == "" {
		return Step{Warning: "cannot be expressed in mongosh, use a driver: " + what + " " + mongosh.Quote(ns.String())}
	}
	return Step{Text: text}
}

// Create returns the script that creates a schema on an empty server: collections with their
// indexes, then views, each after those that it is based on.
func Create(s schema.Definitions) Script {
	var script Script
	var views []schema.Named
	for _, ns := range s.Namespaces() {
		n := schema.Named{Namespace: ns, Definition: s[ns]}
		if n.Definition.Kind == schema.KindView {
			views = append(views, n)
			continue
		}
		script = append(script, create(n)...)
	}
	return append(script, createViews(views, nil)...)
}

// create creates a collection or a time series with its indexes.
func create(n schema.Named) Script {
	db, coll := n.Namespace.Database, n.Namespace.Collection
	script := Script{step(mongosh.CreateCollection(db, coll, n.Definition.Options), "create", n.Namespace)}
	for _, spec := range n.Definition.Indexes {
		if collated(n.Definition.Options) {
			spec = mongosh.WithSimpleCollation(spec)
		}
		script = append(script, step(mongosh.CreateIndex(db, coll, spec), "create the index "+nameOf(spec)+" of", n.Namespace))
	}
	return script
}
