// Package option is the table of the options of collections, views and indexes: what
// a value means, who sets it, and which parameter of collMod changes it.
//
// Everything that ddltail knows about an option is in its row, for comparisons, statements,
// scripts and the detector.
package option

import (
	"cmp"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Origin is where an option comes from.
type Origin int

const (
	// User: create, createIndexes or collMod accepts it.
	User Origin = iota
	// Server: servers write it in entries or listings; a statement must not repeat it.
	Server
	// Buckets: for a time series the server derives it for the bucket collection; otherwise it is
	// set by users.
	Buckets
)

// Option is one row. The zero value of a column means that nothing special applies.
type Option struct {
	// Name is the field in entries and listings.
	Name string
	// Why is the behavior of the server that explains the other columns.
	Why    string
	Origin Origin
	// Default reports whether a value means the same as no value.
	Default func(bson.RawValue) bool
	// Implied is the default value (a string or an int) for an index of the kind ImpliedBy (any,
	// if empty). Statements omit it.
	Implied   any
	ImpliedBy string
	// Parameter is the parameter of collMod that changes the option.
	Parameter string
	// Off is the value of Parameter that removes the option, as Extended JSON; empty if collMod
	// cannot remove it.
	Off string
	// CappedOnly parameters are accepted only for a capped collection.
	CappedOnly bool
	// Since is the first version whose collMod accepts the parameter, if not 4.4.
	Since string
	// Limit: a lower value, or setting the option for the first time, removes documents.
	Limit bool
	// Helper: mongosh's createCollection or createIndex sends it.
	Helper bool
	// Reading is how servers convert a value that is not of the expected type.
	Reading Reading
	// Risk is the risk of setting the option on an object in use.
	Risk Risk
}

// ParameterName returns the name of the option in a collMod, which can differ from that in
// listings.
func (o Option) ParameterName() string { return cmp.Or(o.Parameter, o.Name) }

// Changeable reports whether a collMod can change the option.
func (o Option) Changeable() bool { return o.Parameter != "" }

// IsDefault reports whether a value means the same as no value.
func (o Option) IsDefault(v bson.RawValue) bool { return o.Default != nil && o.Default(v) }

// OffValue returns the value of Parameter that removes the option; ok is false if collMod cannot
// remove it.
func (o Option) OffValue() (value any, ok bool) {
	if o.Off == "" {
		return nil, false
	}
	var doc bson.D
	if err := bson.UnmarshalExtJSON([]byte(`{"v": `+o.Off+`}`), false, &doc); err != nil {
		return nil, false
	}
	return doc[0].Value, true
}

func find(name string, rows iter.Seq[Option]) Option {
	for row := range rows {
		if row.Name == name {
			return row
		}
	}
	return Option{Name: name}
}
