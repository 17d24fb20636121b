// Package refusal explains why a server refuses to write one document: a unique index, a
// validator, a capped collection.
package refusal

import (
	"errors"
	"fmt"
	"regexp"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	codeDocumentValidation = 121
	codeCappedGrowth       = 10003
)

// Error is the refusal of one document.
type Error struct {
	// Namespace and ID are the document's.
	Namespace, ID string
	// By is what refuses it, and Remedy what to do about that.
	By, Remedy string
	// Capped is true if documents of a capped collection cannot grow (servers before 5.0).
	Capped bool
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s refuses the document %s in %s (%s): %v", e.By, e.ID, e.Namespace, e.Remedy, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Explain returns an *Error if the write of a document was refused because of the document,
// and every other error unchanged.
func Explain(err error, namespace, id string) error {
	e := &Error{Namespace: namespace, ID: id, Err: err}
	switch {
	case mongo.IsDuplicateKeyError(err):
		e.By = "the unique index " + IndexOf(err)
		e.Remedy = "drop the index; it is not ddltail's"
	case hasCode(err, codeDocumentValidation):
		e.By = "the validator"
		e.Remedy = "change the validator with collMod so that it accepts ddltail's documents and the fields that `listen` adds"
	case hasCode(err, codeCappedGrowth):
		e.By, e.Capped = "the capped collection", true
		e.Remedy = "documents of a capped collection cannot grow before MongoDB 5.0; stop what writes to it, " +
			"copy it with $out into a collection that is not capped, drop it and rename the copy"
	default:
		return err
	}
	return e
}

// IsDuplicateID reports whether a document with the same _id exists. A duplicate in another
// unique index says nothing about that.
func IsDuplicateID(err error) bool { return mongo.IsDuplicateKeyError(err) && IndexOf(err) == "_id_" }

// indexInMessage finds the index in "E11000 duplicate key error collection: db.c index: NAME
// collation: {…} dup key: {…}". A clustered collection has no index on _id.
const indexInMessage = `E11000 duplicate key error collection: .*? index: (.*?)(?: collation: \{.*?\})? dup key: `

// IndexOf returns the name of the unique index in an E11000 error, _id_ where it is the
// key of a clustered collection.
func IndexOf(err error) string {
	if m := regexp.MustCompile(indexInMessage).FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return "_id_"
}

// ByDocument returns the first write error of an insertMany with the position of its
// document; false if there is none, or if a write concern error beside it leaves open what
// is durable.
func ByDocument(err error) (at int, cause error, ok bool) {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) != 1 {
		return 0, nil, false
	}
	return bulk.WriteErrors[0].Index, bulk.WriteErrors[0], true
}

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	if errors.As(err, &se) {
		return se.HasErrorCode(code)
	}
	var we mongo.BulkWriteError
	return errors.As(err, &we) && we.Code == code
}

// IDText returns an _id as text.
func IDText(id bson.RawValue) string {
	if text, ok := id.StringValueOK(); ok {
		return text
	}
	return id.String()
}
