package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
)

// Sources lists the sources in the database, sorted: those with a checkpoint, a catalog or a
// history. A source whose server has no collection yet has only a checkpoint.
func (r Reader) Sources(ctx context.Context) ([]string, error) {
	fromCatalog, err := distinctSources(ctx, r.db.Collection(store.Catalog))
	if err != nil {
		return nil, err
	}
	fromHistory, err := r.historySources(ctx)
	if err != nil {
		return nil, err
	}
	fromCheckpoints, err := distinctSources(ctx, r.db.Collection(store.Checkpoints))
	if err != nil {
		return nil, err
	}
	all := slices.Concat(fromCheckpoints, fromCatalog, fromHistory)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// ErrDropped is returned if a collection that an output is read from does not exist.
var ErrDropped = errors.New("it was dropped, or no ddltail run writes it: what it held is not known")

// Require returns ErrDropped if one of the collections does not exist: without a catalog the schema
// would read as empty, without a history as never changed.
func (r Reader) Require(ctx context.Context, collections ...string) error {
	for _, c := range collections {
		exists, err := store.Exists(ctx, r.db, c)
		if err != nil {
			return err
		}
		if !exists {
			return fmt.Errorf("the database %s has no %s: %w", r.db.Name(), c, ErrDropped)
		}
	}
	return nil
}

// maxNamespaces bounds the namespaces for shell completion.
const maxNamespaces = 1000

// Namespaces lists namespaces of the catalog, in order.
func (r Reader) Namespaces(ctx context.Context) ([]string, error) {
	cur, err := r.db.Collection(store.Catalog).Aggregate(ctx, mongo.Pipeline{
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$ns"}}}}, {{Key: "$sort", Value: bson.D{{Key: "_id", Value: 1}}}},
		{{Key: "$limit", Value: maxNamespaces}},
	})
	if err != nil {
		return nil, fmt.Errorf("list the namespaces of %s: %w", store.Catalog, err)
	}
	var found []struct {
		NS string `bson:"_id"`
	}
	if err := cur.All(ctx, &found); err != nil {
		return nil, fmt.Errorf("list the namespaces of %s: %w", store.Catalog, err)
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.NS
	}
	return names, nil
}

// distinctSources lists the values of the field source, in no order.
func distinctSources(ctx context.Context, coll *mongo.Collection) ([]string, error) {
	var sources []string
	found := coll.Distinct(ctx, "source", bson.D{})
	// Decode reports a failed command as a decoding error.
	err := found.Err()
	if err == nil {
		err = found.Decode(&sources)
	}
	if err != nil {
		return nil, fmt.Errorf("list the sources of %s: %w", coll.Name(), err)
	}
	return sources, nil
}

// historySources reads one _id of each source, with a seek for each, regardless of the
// history's size.
func (r Reader) historySources(ctx context.Context) ([]string, error) {
	var sources []string
	for after := ""; ; {
		var doc struct {
			ID string `bson:"_id"`
		}
		next := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}
		err := r.changes().FindOne(ctx, next, options.FindOne().SetSort(bson.D{{Key: "_id", Value: 1}}).SetProjection(bson.D{{Key: "_id", Value: 1}})).Decode(&doc)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return sources, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the sources of %s: %w", store.History, err)
		}
		source, _, _ := strings.Cut(doc.ID, ":")
		sources = append(sources, source)
		after = notification.AllIDs(source).To
	}
}
