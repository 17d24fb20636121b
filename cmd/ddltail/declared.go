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

// declaredEvery is how often the declaration is compared with the catalog, and reloaded if
// its files have changed.
const declaredEvery = 5 * time.Second

// checkDeclared reads the declaration once at startup, so that an error ends the process.
func checkDeclared(cfg config.Config) error {
	if cfg.Declared == "" {
		return nil
	}
	if _, err := declaration.Read(cfg.Declared); err != nil {
		return &config.Error{Reason: "DDLTAIL_DECLARED", Remedy: err.Error(), Err: err}
	}
	return nil
}

// watchDeclared updates the drift metric: it compares the catalog at the position with the
// declaration. Without a declaration it returns at once.
func (d *daemon) watchDeclared(ctx context.Context, db *mongo.Database, source string) error {
	if d.cfg.Declared == "" {
		return nil
	}
	versions := catalog.NewStore(db.Collection(store.Catalog), source)
	var declared declaredFile
	var settling drift.Settling
	var logged string
	d.driftNotKnown()
	for {
		if err := d.compareDeclared(ctx, versions, &declared, &settling); err != nil && ctx.Err() == nil {
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

// declaredFile is a declaration as last read. The zero value has not been read yet.
type declaredFile struct {
	fingerprint string
	last        declaration.Declaration
}

// read returns the declaration, reloaded if its files have changed.
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

func (d *daemon) compareDeclared(ctx context.Context, versions catalog.Store, file *declaredFile, settling *drift.Settling) error {
	at := oplog.OpTime{TS: d.status.Position()}
	if at.IsZero() {
		return nil // nothing has been read yet
	}
	declared, err := file.read(d.cfg.Declared)
	if err != nil {
		return err
	}
	known, err := versions.Load(ctx, at.TS)
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
