// Package ownindex creates the indexes of ddltail's own collections without waiting for
// index builds of others.
//
// A server runs few index builds at once (maxNumActiveUserIndexBuilds, 3); further ones wait
// in the createIndexes command, possibly for hours. Only a createIndexes that also creates
// the collection does not need a build; on an empty collection the build is fast, but may
// have to wait.
package ownindex

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Index is one index of a collection.
type Index struct {
	Keys bson.D
	// Name is empty for the default name, which consists of the keys.
	Name           string
	Unique, Sparse bool
	// Partial is the filter of a partial index; nil for none.
	Partial bson.D
}

// Ensure creates the indexes that a collection lacks. It is idempotent.
type Ensure func(context.Context, *mongo.Collection, ...Index) error

const (
	codeNamespaceNotFound     = 26
	codeUnauthorized          = 13
	codeIndexOptionsConflict  = 85
	codeIndexKeySpecsConflict = 86
)

// Create creates the indexes that a collection lacks, and waits for their builds.
func Create(ctx context.Context, coll *mongo.Collection, indexes ...Index) error {
	missing, _, err := lacking(ctx, coll, indexes)
	if err != nil || len(missing) == 0 {
		return err
	}
	return create(ctx, coll, missing)
}

// NotCollectionError is returned for a view or a time series with the name of an own collection.
type NotCollectionError struct{ Database, Name, Kind string }

func (e NotCollectionError) Error() string {
	return fmt.Sprintf("%s.%s is a %s; ddltail needs an ordinary collection", e.Database, e.Name, e.Kind)
}

// checkKind returns a NotCollectionError if the name is that of a view or a time series. An
// error of the listing, which needs no privilege, is ignored: the next command reports it.
func checkKind(ctx context.Context, coll *mongo.Collection) error {
	specs, err := coll.Database().ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: coll.Name()}},
		options.ListCollections().SetNameOnly(true).SetAuthorizedCollections(true))
	if err != nil || len(specs) == 0 {
		return nil //nolint:nilerr // the next command reports what is wrong with the server
	}
	switch kind := specs[0].Type; kind {
	case "view":
		return NotCollectionError{coll.Database().Name(), coll.Name(), kind}
	case "timeseries":
		return NotCollectionError{coll.Database().Name(), coll.Name(), "time series"}
	}
	return nil
}

// lacking returns the indexes that a collection does not have. If the user may not list the
// collection's indexes, it returns all of them, and known is false.
func lacking(ctx context.Context, coll *mongo.Collection, indexes []Index) (missing []Index, known bool, err error) {
	if err := checkKind(ctx, coll); err != nil {
		return nil, false, err
	}
	cur, err := coll.Indexes().List(ctx)
	var specs []bson.Raw
	if err == nil {
		err = cur.All(ctx, &specs)
	}
	if hasCode(err, codeUnauthorized) {
		return indexes, false, nil
	}
	if err != nil && !hasCode(err, codeNamespaceNotFound) {
		return nil, false, fmt.Errorf("list the indexes of %s.%s: %w", coll.Database().Name(), coll.Name(), err)
	}
	for _, index := range indexes {
		if !index.in(specs) {
			missing = append(missing, index)
		}
	}
	return missing, true, nil
}

// in reports whether an index exists: with the same keys and, if it is partial or unique, the
// same filter and uniqueness. Other options may differ.
func (i Index) in(specs []bson.Raw) bool {
	for _, spec := range specs {
		key, _ := spec.Lookup("key").DocumentOK()
		if !sameKeys(i.Keys, key) {
			continue
		}
		unique, _ := spec.Lookup("unique").BooleanOK()
		filter, _ := spec.Lookup("partialFilterExpression").DocumentOK()
		if i.Partial == nil && !i.Unique || unique == i.Unique && sameFilter(i.Partial, filter) {
			return true
		}
	}
	return false
}

func sameKeys(want bson.D, have bson.Raw) bool {
	elems, err := have.Elements()
	if err != nil || len(elems) != len(want) {
		return false
	}
	for n, el := range elems {
		direction, ok := el.Value().AsInt64OK()
		if !ok || el.Key() != want[n].Key || fmt.Sprint(direction) != fmt.Sprint(want[n].Value) {
			return false
		}
	}
	return true
}

func sameFilter(want bson.D, have bson.Raw) bool {
	if want == nil {
		return have == nil
	}
	raw, err := bson.Marshal(want)
	return err == nil && string(raw) == string(have)
}

// create runs createIndexes once for all indexes, since only the first createIndexes can
// create the collection. If an index with the same keys or name has other options, it is
// kept, and the other indexes are created one by one.
func create(ctx context.Context, coll *mongo.Collection, indexes []Index) error {
	err := createIndexes(ctx, coll, indexes)
	if !isConflict(err) {
		return err
	}
	for _, index := range indexes {
		if err := createIndexes(ctx, coll, []Index{index}); err != nil && !isConflict(err) {
			return err
		}
	}
	return nil
}

func createIndexes(ctx context.Context, coll *mongo.Collection, indexes []Index) error {
	var specs bson.A
	var names []string
	for _, index := range indexes {
		specs, names = append(specs, index.spec()), append(names, index.name())
	}
	cmd := bson.D{
		{Key: "createIndexes", Value: coll.Name()}, {Key: "indexes", Value: specs},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}},
	}
	if err := coll.Database().RunCommand(ctx, cmd).Err(); err != nil {
		return fmt.Errorf("create the indexes %s of %s.%s: %w", strings.Join(names, ", "), coll.Database().Name(), coll.Name(), err)
	}
	return nil
}

func isConflict(err error) bool {
	return hasCode(err, codeIndexOptionsConflict) || hasCode(err, codeIndexKeySpecsConflict)
}

func (i Index) name() string {
	if i.Name != "" {
		return i.Name
	}
	var parts []string
	for _, key := range i.Keys {
		parts = append(parts, fmt.Sprintf("%s_%v", key.Key, key.Value))
	}
	return strings.Join(parts, "_")
}

func (i Index) spec() bson.D {
	spec := bson.D{{Key: "key", Value: i.Keys}, {Key: "name", Value: i.name()}}
	if i.Unique {
		spec = append(spec, bson.E{Key: "unique", Value: true})
	}
	if i.Sparse {
		spec = append(spec, bson.E{Key: "sparse", Value: true})
	}
	if i.Partial != nil {
		spec = append(spec, bson.E{Key: "partialFilterExpression", Value: i.Partial})
	}
	return spec
}

// isEmpty reports whether a collection has no document.
func isEmpty(ctx context.Context, coll *mongo.Collection) (bool, error) {
	err := coll.FindOne(ctx, bson.D{}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s.%s: %w", coll.Database().Name(), coll.Name(), err)
	}
	return false, nil
}

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}
