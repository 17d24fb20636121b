package notify

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/ddltail/ddltail/internal/notification"
)

// defaultStatement is the operation and its target, such as CREATE COLLECTION payments.
func (c Change) defaultStatement() string {
	parts := []string{strings.ReplaceAll(c.Operation, "_", " ")}
	target := []string{c.Collection, c.Index, c.To}
	if notification.Operation(c.Operation) == notification.DropDatabase {
		target = []string{c.Database}
	}
	for _, name := range target {
		if name != "" {
			parts = append(parts, word(name))
		}
	}
	return strings.Join(parts, " ")
}

// word returns a name unchanged, or as a JSON string if it has characters that could be read as
// more than a name.
func word(name string) string {
	if !strings.ContainsFunc(name, misleading) {
		return name
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// A string can always be written.
	_ = enc.Encode(name)
	return strings.TrimSuffix(b.String(), "\n")
}

func misleading(r rune) bool {
	return strings.ContainsRune("'\"`\u2028\u2029", r) || unicode.IsControl(r)
}

func known(op notification.Operation) bool { return slices.Contains(notification.Operations(), op) }

// namespaceLike reports whether a text has the form database.collection.
func namespaceLike(text string) bool {
	database, collection, ok := strings.Cut(text, ".")
	return ok && database != "" && collection != ""
}
