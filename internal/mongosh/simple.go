package mongosh

import (
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// WithSimpleCollation returns the index spec with an explicit simple collation if it has none.
// On a collection with a default collation, a new index gets that collation, while an index with
// the simple collation is listed without one: its statement must name it. An index with v: 1
// never has a collation, and servers refuse to create one with it.
func WithSimpleCollation(spec bson.Raw) bson.Raw {
	fields, ok := parse(spec)
	version, _ := fields.get("v")
	if _, has := fields.get("collation"); !ok || has || isNumber(version, 1) {
		return spec
	}
	simple, err := bson.Marshal(bson.D{{Key: "collation", Value: bson.D{{Key: "locale", Value: "simple"}}}})
	if err != nil {
		return spec
	}
	// A document is its length, its elements and a zero.
	end := int(binary.LittleEndian.Uint32(spec)) - 1
	joined := append(bson.Raw{}, spec[:end]...)
	joined = append(joined, simple[4:]...)
	binary.LittleEndian.PutUint32(joined, uint32(len(joined)))
	return joined
}
