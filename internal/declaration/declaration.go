// Package declaration reads and writes a schema in files: mongosh scripts, JSON, YAML, folders
// of these, and the metadata of mongodump.
//
// Scripts are parsed, not run.
package declaration

import (
	"fmt"

	"github.com/ddltail/ddltail/internal/schema"
)

// Declaration is a declared schema. A definition without options (schema.Definition.Known is
// false) declares only the indexes of a collection.
type Declaration struct {
	Definitions schema.Definitions
}

// Error is an error in a declaration. Line and Column begin at 1; 0 means that the error concerns
// the whole file.
type Error struct {
	File         string
	Line, Column int
	// Problem describes the error and what is expected.
	Problem string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}
