package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
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
	w := declaredWatch{
		path: d.cfg.Declared, log: d.log, versions: catalog.NewStore(db.Collection(store.Catalog), source),
		checkpoints: checkpoint.NewStore(db.Collection(store.Checkpoints), source, d.cfg.Name),
	}
	var settling drift.Settling
	d.driftNotKnown()
	for {
		if at := (oplog.OpTime{TS: d.status.Position()}); !at.IsZero() {
			all, err := w.differences(ctx, at.TS)
			if err == nil {
				d.setDrift(settling.Update(all, at.Time(), d.cfg.DriftSettle))
			} else if ctx.Err() == nil {
				d.driftNotKnown()
			}
			w.report(ctx, err)
		}
		if !retry.Sleep(ctx, declaredEvery) {
			return nil
		}
	}
}

func (d *daemon) setDrift(counts map[drift.Kind]int) {
	for kind, n := range counts {
		d.metrics.Drift.WithLabelValues(string(kind)).Set(float64(n))
	}
}

func (d *daemon) driftNotKnown() {
	for _, kind := range drift.Kinds() {
		d.metrics.Drift.WithLabelValues(string(kind)).Set(math.NaN())
	}
}

// declaredWatch compares the stored catalog with the declaration. It reads the catalog only if
// something has changed: it can have tens of thousands of versions.
type declaredWatch struct {
	path        string
	log         *zap.Logger
	versions    catalog.Store
	checkpoints checkpoint.Store
	declared    declaredFile
	// compared identifies what found was computed from; the zero value is nothing.
	compared declaredState
	found    []drift.Difference
	// logged is the last message about what is not known.
	logged string
}

// declaredState identifies the input of a comparison.
type declaredState struct {
	fingerprint string
	newest      bson.Timestamp
	unlisted    string
}

// differences returns the differences at a position.
func (w *declaredWatch) differences(ctx context.Context, at bson.Timestamp) ([]drift.Difference, error) {
	declared, err := w.declared.read(w.path)
	if err != nil {
		return nil, err
	}
	stored, _, err := w.checkpoints.Load(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := w.versions.Newest(ctx)
	if err != nil {
		return nil, err
	}
	now := declaredState{w.declared.fingerprint, newest.TS, fmt.Sprint(stored.Unlisted)}
	if now == w.compared && now.fingerprint != "" {
		return w.found, nil
	}
	live, err := w.live(ctx, at)
	if err != nil {
		return nil, err
	}
	unknown := neverListed(stored.Unlisted, declared.Definitions, live)
	w.found = drift.Compare(declared.Definitions, live, drift.Scope{Unknown: func(ns schema.Namespace) bool { return unknown[ns] }})
	w.compared = declaredState{}
	if !newest.TS.After(at) { // later versions belong to a later comparison
		w.compared = now
	}
	for ns := range unknown {
		w.log.Warn("the server cannot list a declared namespace; it is not compared", zap.Stringer("ns", ns))
	}
	return w.found, nil
}

// live returns the stored catalog at a position.
func (w *declaredWatch) live(ctx context.Context, at bson.Timestamp) (schema.Definitions, error) {
	known, err := w.versions.Load(ctx, at)
	if err != nil {
		return nil, err
	}
	live := schema.Definitions{}
	for _, v := range known.All() {
		if !v.Definition.Temporary {
			live[v.Namespace] = *v.Definition
		}
	}
	return live, nil
}

// report logs an error of a comparison when it is another one than before.
func (w *declaredWatch) report(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != w.logged && ctx.Err() == nil {
		w.log.Warn("drift not known", zap.Error(err))
	}
	w.logged = text
}

// neverListed returns the declared namespaces that the server cannot list and the catalog does not
// have: they may exist.
func neverListed(unlisted []checkpoint.Unlisted, declared, live schema.Definitions) map[schema.Namespace]bool {
	unknown := map[schema.Namespace]bool{}
	for ns, def := range declared {
		if _, isLive := live[ns]; isLive {
			continue
		}
		for _, u := range unlisted {
			part := schema.Selection{Namespace: schema.Namespace{Database: u.Database, Collection: u.Collection}, Views: u.Views}
			if part.Covers(ns, def.Kind) {
				unknown[ns] = true
			}
		}
	}
	return unknown
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
