package sink

import (
	"bytes"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// NDJSON returns the documents as relaxed Extended JSON, one to a line.
func NDJSON(docs []notification.Document) ([]byte, error) {
	var buf bytes.Buffer
	for _, d := range docs {
		line, err := bson.MarshalExtJSON(d.Notification(), false, false)
		if err != nil {
			return nil, fmt.Errorf("write %s as JSON: %w", d.ID, err)
		}
		buf.Write(line)
		buf.WriteByte('\n')
	}
	return buf.Bytes(), nil
}
