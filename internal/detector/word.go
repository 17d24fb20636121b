package detector

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/ddltail/ddltail/internal/notification"
)

// quoteName returns a name for a descriptive statement. A name with quotes or control characters
// is written as a JSON string, so that it can neither end the statement nor control a terminal.
func quoteName(name string) string {
	if !strings.ContainsFunc(name, needsQuoting) {
		return name
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(name); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func needsQuoting(r rune) bool {
	return r == '\'' || r == '"' || r == '`' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// text describes an operation and its target if there is no statement.
func text(op notification.Operation, target ...string) string {
	text := strings.ReplaceAll(string(op), "_", " ")
	for _, name := range target {
		if name != "" {
			text += " " + quoteName(name)
		}
	}
	return text
}

// statementOr returns the statement, or a description of the operation if there is none.
func statementOr(statement string, op notification.Operation, target ...string) string {
	if statement != "" {
		return statement
	}
	return text(op, target...)
}
