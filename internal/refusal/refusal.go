// Package refusal explains why a server refuses to write one document: a unique index, a
// validator, a capped collection.
package refusal

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

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
	// By names the index, validator or collection that refuses it; Remedy is what to do.
	By, Remedy string
	// Capped is true if documents of a capped collection cannot grow (servers before 6.0).
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
	e, ok := reasonOf(err)
	if !ok {
		return err
	}
	e.Namespace, e.ID, e.Err = namespace, id, err
	return &e
}

// Is reports whether a write was refused because of a document.
func Is(err error) bool {
	var explained *Error
	if errors.As(err, &explained) {
		return true
	}
	_, ok := reasonOf(err)
	return ok
}

func reasonOf(err error) (Error, bool) {
	switch {
	case err == nil:
		return Error{}, false
	case mongo.IsDuplicateKeyError(err):
		return Error{By: "the unique index " + IndexOf(err), Remedy: "drop the index, which ddltail did not create"}, true
	case hasCode(err, codeDocumentValidation):
		return Error{By: "the validator", Remedy: "change the validator with collMod so that it accepts ddltail's documents and the fields that `listen` adds"}, true
	case hasCode(err, codeCappedGrowth):
		return Error{By: "the capped collection", Capped: true, Remedy: "documents of a capped collection cannot grow before MongoDB 6.0; " +
			"stop its writers, copy it with $out into a collection that is not capped, drop it and rename the copy"}, true
	}
	for _, row := range indexErrors() {
		if hasCode(err, row.code) {
			return Error{By: row.index, Remedy: "drop the index; it is not ddltail's"}, true
		}
	}
	return Error{}, false
}

type indexError struct {
	code  int
	index string
}

// indexErrors lists the error codes for values that an index cannot hold. The server does not
// name the index; none of ddltail's indexes is of these kinds.
func indexErrors() []indexError {
	return []indexError{
		{171, "an index on two arrays"},
		{13026, "a 2d index"},
		{13027, "a 2d index"},
		{16755, "a 2dsphere index"},
		{16766, "a hashed index on an array"},
		{17261, "a text index (field language)"},
		{17262, "a text index (field language)"},
	}
}

// IsDuplicateID reports whether a document with the same _id exists. It returns false for a
// duplicate in another unique index.
func IsDuplicateID(err error) bool { return mongo.IsDuplicateKeyError(err) && IndexOf(err) == "_id_" }

// indexInMessage finds the index in "E11000 duplicate key error collection: db.c index: NAME
// collation: {…} dup key: {…}". A clustered collection has no index on _id.
const indexInMessage = `E11000 duplicate key error collection: .*? index: (.*?)(?: collation: \{.*?\})? dup key: `

// IndexOf returns the name of the unique index in an E11000 error; _id_ for a clustered
// collection.
func IndexOf(err error) string {
	if m := regexp.MustCompile(indexInMessage).FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return "_id_"
}

// ByDocument returns the first write error of an insertMany with the position of its
// document. ok is false if there is none, or if there is also a write concern error, so that
// it is not known what is durable.
func ByDocument(err error) (at int, cause error, ok bool) {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) != 1 {
		return 0, nil, false
	}
	return bulk.WriteErrors[0].Index, bulk.WriteErrors[0], true
}

// OnlyDuplicateIDs reports whether all documents that an unordered bulk write did not write
// already exist.
func OnlyDuplicateIDs(err error) bool {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) == 0 {
		return false
	}
	return !slices.ContainsFunc(bulk.WriteErrors, func(e mongo.BulkWriteError) bool { return !IsDuplicateID(e) })
}

// ExplainBulk is Explain for a bulk write: it names the first refused document that does not
// exist yet. The function id returns the _id of a write.
func ExplainBulk(err error, namespace string, id func(write int) string) error {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) {
		return err
	}
	for _, e := range bulk.WriteErrors {
		if !IsDuplicateID(e) {
			return Explain(e, namespace, id(e.Index))
		}
	}
	return err
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
