package refusal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/refusal"
)

// duplicate is an E11000 as 4.4.2 to 6.0.27 word it.
func duplicate(message string) error {
	return mongo.CommandError{Code: 11000, Name: "DuplicateKey", Message: "E11000 duplicate key error collection: audit.schema_notifications " + message}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err      error
		by       string
		id, kept bool
	}{
		{duplicate(`index: _id_ dup key: { _id: "rs0:1" }`), "the unique index _id_", true, false},
		{duplicate(`index: _id_ collation: { locale: "en", strength: 2 } dup key: { _id: "0x1" }`), "the unique index _id_", true, false},
		{duplicate(`dup key: { _id: "rs0:1" }`), "the unique index _id_", true, false}, // clustered
		{duplicate(`index: operation_1 dup key: { operation: "CREATE_COLLECTION" }`), "the unique index operation_1", false, false},
		{duplicate(`index: by ns, one dup key: { ns: null }`), "the unique index by ns, one", false, false},
		{mongo.CommandError{Code: 121, Name: "DocumentValidationFailure"}, "the validator", false, false},
		{mongo.CommandError{Code: 10003, Name: "CannotGrowDocumentInCappedNamespace"}, "the capped collection", false, false},
		{mongo.CommandError{Code: 171, Name: "CannotIndexParallelArrays"}, "an index on two arrays", false, false},
		{mongo.CommandError{Code: 16755, Message: "Can't extract geo keys"}, "a 2dsphere index", false, false},
		{mongo.CommandError{Code: 17262, Message: "language override unsupported"}, "a text index (field language)", false, false},
		{mongo.CommandError{Code: 13, Name: "Unauthorized"}, "", false, true},
		{errors.New("connection reset"), "", false, true},
	} {
		err := refusal.Explain(fmt.Errorf("write: %w", c.err), "audit.schema_notifications", "rs0:1")
		var refused *refusal.Error
		if errors.As(err, &refused) == c.kept || !c.kept && refused.By != c.by {
			t.Errorf("%v: got %v, want by %q", c.err, err, c.by)
		}
		if !c.kept && !strings.Contains(err.Error(), "rs0:1 in audit.schema_notifications") {
			t.Errorf("the document is not named: %v", err)
		}
		if got := refusal.IsDuplicateID(c.err); got != c.id {
			t.Errorf("%v: duplicate _id %t, want %t", c.err, got, c.id)
		}
	}
}
