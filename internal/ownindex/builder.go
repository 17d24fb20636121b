package ownindex

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
)

const (
	// emptyLimit bounds createIndexes on an empty collection, which may wait for a slot if the
	// collection exists.
	emptyLimit = 2 * time.Second
	// retryEvery is how often a build that failed is tried again.
	retryEvery = 10 * time.Minute
)

// Builder creates indexes in the background where that may take long.
type Builder struct {
	log *zap.Logger

	mu sync.Mutex
	// missing are the indexes to build; added wakes Run.
	missing []target
	added   chan struct{}
}

// target is one collection with the indexes it lacks.
type target struct {
	coll    *mongo.Collection
	indexes []Index
}

// NewBuilder returns a builder without work.
func NewBuilder(log *zap.Logger) *Builder {
	return &Builder{log: log, added: make(chan struct{}, 1)}
}

// Ensure creates the indexes that a collection lacks if it is empty and no build of others
// is in the way; if not, Run does.
func (b *Builder) Ensure(ctx context.Context, coll *mongo.Collection, indexes ...Index) error {
	missing, known, err := lacking(ctx, coll, indexes)
	if err != nil || len(missing) == 0 {
		return err
	}
	empty, err := isEmpty(ctx, coll)
	if err != nil {
		return err
	}
	if empty || !known { // a server answers at once if they exist
		// The driver sends the deadline along, so that the server gives up the build as well.
		bounded, cancel := context.WithTimeout(ctx, emptyLimit)
		defer cancel()
		if err = create(bounded, coll, missing); !mongo.IsTimeout(err) || ctx.Err() != nil {
			return err
		}
	}
	b.add(target{coll, missing})
	return nil
}

// add replaces the indexes that a collection lacks.
func (b *Builder) add(t target) {
	names := make([]string, len(t.indexes))
	for i, index := range t.indexes {
		names[i] = index.name()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := len(b.missing)
	b.missing = slices.DeleteFunc(b.missing, func(other target) bool { return other.coll.Name() == t.coll.Name() })
	if len(b.missing) == known {
		b.log.Info("indexes are missing; creating them in the background",
			zap.String("collection", t.coll.Name()), zap.Strings("indexes", names))
	}
	b.missing = append(b.missing, t)
	select {
	case b.added <- struct{}{}:
	default:
	}
}

// Run builds the missing indexes, one after the other, until the context ends.
func (b *Builder) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.added:
		case <-time.After(retryEvery):
		}
		for _, t := range b.targets() {
			err := Create(ctx, t.coll, t.indexes...)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				b.log.Warn("indexes cannot be created", zap.Duration("again_in", retryEvery), zap.Error(err))
			default:
				b.done(t)
				b.log.Info("indexes created", zap.String("collection", t.coll.Name()))
			}
		}
	}
}

func (b *Builder) targets() []target {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.missing)
}

func (b *Builder) done(t target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missing = slices.DeleteFunc(b.missing, func(other target) bool { return other.coll.Name() == t.coll.Name() })
}
