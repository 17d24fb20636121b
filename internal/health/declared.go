package health

import (
	"fmt"

	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/terminal"
)

// maxDriftLines is how many differences the table lists.
const maxDriftLines = 10

// Declared compares DECLARED with the server. Drift does not make the report unhealthy.
type Declared struct {
	Path string `json:"path"`
	// Problem is why it was not compared; empty if it was.
	Problem string `json:"problem,omitempty"`
	// Namespaces is how many declared namespaces were compared.
	Namespaces *int `json:"namespaces"`
	// Differences are the ids of `ddltail drift`.
	Differences []string `json:"differences"`
}

// declare reads the declaration, before the server is listed.
func (c Check) declare(r *Report) {
	if c.Declared == "" {
		return
	}
	r.Declared = &Declared{Path: c.Declared, Problem: "the server was not listed"}
	read, err := declaration.Read(c.Declared)
	if err != nil {
		r.Declared.Problem = privileges.Short(err)
		return
	}
	r.declared = read.Definitions
}

// compareDeclared compares the declaration with the server's listing. If the server cannot list
// a declared namespace, the result is not known.
func (r *Report) compareDeclared(read comparison) {
	if r.declared == nil {
		return
	}
	for _, u := range read.unlisted {
		for ns, def := range r.declared {
			if u.Covers(ns, def.Kind) {
				r.Declared.Problem = fmt.Sprintf("the server cannot list %s: %s", u, u.Reason)
				return
			}
		}
	}
	number := len(r.declared)
	r.Declared.Problem, r.Declared.Namespaces, r.Declared.Differences = "", &number, []string{}
	for _, d := range drift.Compare(r.declared, read.server, drift.Scope{}) {
		r.Declared.Differences = append(r.Declared.Differences, d.ID())
	}
	r.know(FactDeclared)
}

// writeDeclared writes the rows about drift.
func (r Report) writeDeclared(line line) {
	d := r.Declared
	switch {
	case d == nil:
		return
	case d.Problem != "":
		line("drift", terminal.Escape("not compared: "+d.Problem), terminal.Red)
		return
	case len(d.Differences) == 0:
		line("drift", fmt.Sprintf("none: %d namespaces are equal to those in %s", *d.Namespaces, terminal.Escape(d.Path)), terminal.Plain)
		return
	}
	line("drift", fmt.Sprintf("%d differences from %s: ddltail drift shows the change that caused each", len(d.Differences), terminal.Escape(d.Path)), terminal.Yellow)
	for _, id := range d.Differences[:min(len(d.Differences), maxDriftLines)] {
		line("drift", terminal.Escape(id), terminal.Yellow)
	}
	if more := len(d.Differences) - maxDriftLines; more > 0 {
		line("drift", fmt.Sprintf("and %d more", more), terminal.Yellow)
	}
}
