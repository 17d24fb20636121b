package pipeline

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/usererror"
)

const (
	// relistEvery is how often unlisted namespaces are listed again.
	relistEvery = 10 * time.Minute
	// maxNamed bounds how many of them a log message names.
	maxNamed = 10
)

// unlisted are the namespaces that the server cannot list, and when to list them again.
type unlisted struct {
	metrics *metrics.Run
	log     *zap.Logger
	parts   []schema.Unlisted
	// next is when to list all of them again; touched are those with entries since.
	next    time.Time
	touched []schema.Selection
}

// touch records the namespaces of a unit if one of them is unlisted; for a rename, both names.
func (u *unlisted) touch(affected []schema.Namespace) {
	if !slices.ContainsFunc(affected, u.concerns) {
		return
	}
	for _, ns := range affected {
		s := schema.Selection{Namespace: ns}
		if !slices.Contains(u.touched, s) {
			u.touched = append(u.touched, s)
		}
		for _, part := range u.parts {
			if part.Covers(ns, schema.KindView) && !slices.Contains(u.touched, part.Selection) {
				u.touched = append(u.touched, part.Selection)
			}
		}
	}
}

func (u *unlisted) concerns(ns schema.Namespace) bool {
	return slices.ContainsFunc(u.parts, func(part schema.Unlisted) bool {
		return part.Covers(ns, schema.KindView) || schema.Selection{Namespace: ns}.Covers(part.Namespace, schema.KindView)
	})
}

// due returns the namespaces to be listed again.
func (u *unlisted) due(now time.Time) []schema.Selection {
	if len(u.parts) == 0 || now.Before(u.next) {
		return u.touched
	}
	all := slices.Clone(u.touched)
	for _, part := range u.parts {
		if !slices.Contains(all, part.Selection) {
			all = append(all, part.Selection)
		}
	}
	return all
}

// replace returns the parts after some of them were listed again.
func (u *unlisted) replace(listed []schema.Selection, still []schema.Unlisted) []schema.Unlisted {
	kept := slices.DeleteFunc(slices.Clone(u.parts), func(part schema.Unlisted) bool {
		return slices.ContainsFunc(listed, func(s schema.Selection) bool {
			return s == part.Selection || s.Covers(part.Namespace, schema.KindView)
		})
	})
	return append(kept, still...)
}

// set stores the namespaces that the server cannot list, and reports a change.
func (u *unlisted) set(ctx context.Context, parts []schema.Unlisted, in checkpoint.Store) error {
	parts = sortedParts(parts)
	u.next, u.touched = time.Now().Add(relistEvery), nil
	if slices.Equal(parts, u.parts) {
		return nil
	}
	// Stored first: if that fails, the next listing finds the same difference again.
	if err := in.SetUnlisted(ctx, storedUnlisted(parts)); err != nil {
		return err
	}
	u.report(parts)
	return nil
}

// apply continues with the stored namespaces; all of them are listed again at once.
func (u *unlisted) apply(parts []schema.Unlisted) {
	u.next, u.touched = time.Time{}, nil
	if !slices.Equal(parts, u.parts) {
		u.report(parts)
	}
}

func (u *unlisted) report(parts []schema.Unlisted) {
	known := len(u.parts) > 0
	u.parts = parts
	u.metrics.Unlisted.Set(float64(len(parts)))
	switch {
	case len(parts) > 0:
		u.log.Warn("server cannot list some namespaces; nothing is inferred for them",
			zap.Int("number", len(parts)), zap.Strings("namespaces", named(parts)))
	case known:
		u.log.Info("server can list all namespaces again")
	}
}

func named(parts []schema.Unlisted) []string {
	var texts []string
	for _, part := range parts[:min(len(parts), maxNamed)] {
		texts = append(texts, part.String()+": "+part.Reason)
	}
	return texts
}

// sortedParts sorts by name, without UUIDs, which are not stored, and without duplicates.
func sortedParts(parts []schema.Unlisted) []schema.Unlisted {
	parts = slices.Clone(parts)
	for i := range parts {
		parts[i].UUID = oplog.UUID{}
	}
	slices.SortStableFunc(parts, func(a, b schema.Unlisted) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(parts, func(a, b schema.Unlisted) bool { return a.Selection == b.Selection })
}

// relist lists unlisted namespaces again. Those that can be listed now are added to the catalog
// as at a first run, without notifications.
func (p *Pipeline) relist(ctx context.Context, m oplog.Member, b oplog.Batch) error {
	due := p.unlisted.due(time.Now())
	if len(due) == 0 || !b.Tailing || p.listed != nil {
		return nil
	}
	var of []schema.Selection
	for _, part := range due {
		of = append(of, schema.SelectionsFor(&p.known.Catalog, part)...)
	}
	s, err := p.taker().Take(ctx, m, of...)
	if privileges.IsUnauthorized(err) {
		p.warnListing("namespaces that could not be listed remain unknown", err)
		p.unlisted.next, p.unlisted.touched = time.Now().Add(relistEvery), nil
		return nil
	}
	if err != nil {
		return usererror.Listing(err, p.Seeds.PathIsAuthSource)
	}
	found := schema.NewUpdate(&p.known.Catalog, s.Listed, s.At)
	if err := p.Catalog.SaveListed(ctx, found.Versions); err != nil {
		return err
	}
	for _, v := range found.Versions {
		p.known.Expect(v)
	}
	if len(found.Versions) > 0 {
		p.Log.Info("namespaces can be listed again; added to the catalog", zap.Int("number", len(found.Versions)), zap.Stringer("at", s.At))
	}
	next := p.unlisted.next
	if err := p.unlisted.set(ctx, p.unlisted.replace(due, found.Unlisted), p.Checkpoints); err != nil {
		return err
	}
	if time.Now().Before(next) {
		p.unlisted.next = next // only touched namespaces have been listed
	}
	return nil
}

// keepUnlisted stores the last versions of unlisted namespaces if the stored catalog was
// dropped.
func (p *Pipeline) keepUnlisted(ctx context.Context, stored *schema.Catalog, kept []schema.Version) error {
	var lost []schema.Version
	for _, v := range kept {
		if _, ok := stored.Lookup(v.Namespace); !ok {
			v.OpTime, v.Wall = p.position.OpTime, p.position.Wall
			lost = append(lost, v)
		}
	}
	return p.Catalog.SaveListed(ctx, lost)
}

func storedUnlisted(parts []schema.Unlisted) []checkpoint.Unlisted {
	var out []checkpoint.Unlisted
	for _, part := range sortedParts(parts) {
		out = append(out, checkpoint.Unlisted{
			Database: part.Namespace.Database, Collection: part.Namespace.Collection, Views: part.Views, Reason: part.Reason,
		})
	}
	return out
}

func unlistedOf(stored []checkpoint.Unlisted) []schema.Unlisted {
	var out []schema.Unlisted
	for _, u := range stored {
		out = append(out, schema.Unlisted{
			Selection: schema.Selection{Namespace: schema.Namespace{Database: u.Database, Collection: u.Collection}, Views: u.Views},
			Reason:    u.Reason,
		})
	}
	return out
}
