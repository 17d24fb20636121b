// Package declaration reads and writes a schema as people keep it in a repository:
// mongosh scripts, JSON, YAML, folders of these, and the metadata of mongodump.
//
// Scripts are parsed and never run.
package declaration

import (
	"fmt"

	"github.com/ddltail/ddltail/internal/schema"
)

// Declaration is a schema that was written down. A definition whose options are not
// known (schema.Definition.Known) declares the indexes of a collection alone.
type Declaration struct {
	Definitions schema.Definitions
}

// Error is a mistake in a declaration. Line and Column begin at 1; 0 means that the mistake
// is about the file as a whole.
type Error struct {
	File         string
	Line, Column int
	// Problem is what is there and what is expected.
	Problem string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}
