package main

import (
	"context"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

// declaredEvery is how often the declaration is compared with the catalog, and read again
// where its files are others.
const declaredEvery = 5 * time.Second

// checkDeclared reads the declaration once, before anything is started.
func checkDeclared(cfg config.Config) error {
	if cfg.Declared == "" {
		return nil
	}
	if _, err := declaration.Read(cfg.Declared); err != nil {
		return &config.Error{Reason: "DDLTAIL_DECLARED", Remedy: err.Error(), Err: err}
	}
	return nil
}

// watchDeclared keeps the metric of drift: the catalog at the position against the
// declaration. Without a declaration it has nothing to do.
func (d *daemon) watchDeclared(ctx context.Context, db *mongo.Database, source string) error {
	if d.cfg.Declared == "" {
		return nil
	}
	store := catalog.NewStore(db.Collection(store.Catalog), source)
	var declared declaredFile
	var settling drift.Settling
	var logged string
	d.driftNotKnown()
	for {
		if err := d.compareDeclared(ctx, store, &declared, &settling); err != nil && ctx.Err() == nil {
			d.driftNotKnown()
			if text := err.Error(); text != logged {
				logged = text
				d.log.Warn("drift not known", zap.Error(err))
			}
		} else {
			logged = ""
		}
		if !retry.Sleep(ctx, declaredEvery) {
			return nil
		}
	}
}

// declaredFile is a declaration as it was last read. The zero value has not been.
type declaredFile struct {
	fingerprint string
	last        declaration.Declaration
}

// read returns the declaration, read again where its files are others.
func (f *declaredFile) read(path string) (declaration.Declaration, error) {
	now, err := declaration.Fingerprint(path)
	if err != nil {
		return declaration.Declaration{}, err
	}
	if now == f.fingerprint && now != "" {
		return f.last, nil
	}
	f.fingerprint = ""
	if f.last, err = declaration.Read(path); err == nil {
		f.fingerprint = now
	}
	return f.last, err
}

func (d *daemon) driftNotKnown() {
	for _, kind := range drift.Kinds() {
		d.metrics.Drift.WithLabelValues(string(kind)).Set(math.NaN())
	}
}

func (d *daemon) compareDeclared(ctx context.Context, store catalog.Store, file *declaredFile, settling *drift.Settling) error {
	at := oplog.OpTime{TS: d.status.Position()}
	if at.IsZero() {
		return nil // nothing has been read yet
	}
	declared, err := file.read(d.cfg.Declared)
	if err != nil {
		return err
	}
	known, err := store.Load(ctx, at.TS)
	if err != nil {
		return err
	}
	live := schema.Definitions{}
	for _, v := range known.All() {
		if !v.Definition.Temporary {
			live[v.Namespace] = *v.Definition
		}
	}
	differences := drift.Compare(declared.Definitions, live, drift.Scope{})
	for kind, n := range settling.Update(differences, at.Time(), d.cfg.DriftSettle) {
		d.metrics.Drift.WithLabelValues(string(kind)).Set(float64(n))
	}
	return nil
}
