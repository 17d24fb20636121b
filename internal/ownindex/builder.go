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
	// retryEvery is how often a failed build is retried.
	retryEvery = 10 * time.Minute
)

// Builder creates indexes in the background if that may take long.
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

// Ensure creates missing indexes if the collection is empty and no other index build delays
// that; otherwise Run creates them.
func (b *Builder) Ensure(ctx context.Context, coll *mongo.Collection, indexes ...Index) error {
	missing, known, err := lacking(ctx, coll, indexes)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if missing, err = b.createFast(ctx, coll, missing, known); err != nil {
			return err
		}
	}
	b.record(coll, indexes, missing)
	return nil
}

// createFast creates indexes if that needs no build, and returns those that it did not create.
func (b *Builder) createFast(ctx context.Context, coll *mongo.Collection, missing []Index, known bool) ([]Index, error) {
	empty, err := isEmpty(ctx, coll)
	if err != nil || !empty && known { // for existing indexes the server replies at once
		return missing, err
	}
	// The driver sends the deadline, so that the server stops the build as well.
	bounded, cancel := context.WithTimeout(ctx, emptyLimit)
	defer cancel()
	err = create(bounded, coll, missing)
	if mongo.IsTimeout(err) && ctx.Err() == nil {
		return missing, nil
	}
	return nil, err
}

// record stores which of some indexes of a collection are missing.
func (b *Builder) record(coll *mongo.Collection, indexes, missing []Index) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.missing, func(t target) bool { return t.coll.Name() == coll.Name() })
	if i < 0 {
		i = len(b.missing)
		b.missing = append(b.missing, target{})
	}
	others := without(b.missing[i].indexes, indexes)
	if added := without(missing, b.missing[i].indexes); len(added) > 0 {
		b.log.Info("indexes are missing; creating them in the background",
			zap.String("collection", coll.Name()), zap.Strings("indexes", names(added)))
	}
	b.missing[i] = target{coll, append(others, missing...)}
	b.missing = slices.DeleteFunc(b.missing, func(t target) bool { return len(t.indexes) == 0 })
	if len(missing) == 0 {
		return
	}
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
				b.record(t.coll, t.indexes, nil)
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

// without returns the indexes that are not among others.
func without(indexes, others []Index) []Index {
	return slices.DeleteFunc(slices.Clone(indexes), func(i Index) bool {
		return slices.ContainsFunc(others, func(o Index) bool { return o.name() == i.name() })
	})
}

func names(indexes []Index) []string {
	all := make([]string, len(indexes))
	for i, index := range indexes {
		all[i] = index.name()
	}
	return all
}
