package schema

import (
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Selection is a part of a catalog: one namespace or, without a collection, a database.
type Selection struct {
	Namespace Namespace
	// Views restricts a database to its views.
	Views bool
}

// Covers reports whether a namespace of a kind is part of the selection.
func (s Selection) Covers(ns Namespace, kind Kind) bool {
	switch {
	case s.Namespace.Database != ns.Database:
		return false
	case s.Namespace.Collection != "":
		return s.Namespace.Collection == ns.Collection
	}
	return !s.Views || kind == KindView
}

func (s Selection) String() string {
	switch {
	case s.Namespace.Collection != "":
		return s.Namespace.String()
	case s.Views:
		return "views of " + s.Namespace.Database
	}
	return "database " + s.Namespace.Database
}

// Unlisted is a part of a server's catalog that the server cannot list. It is unknown, not
// absent.
type Unlisted struct {
	Selection
	// UUID is that of the collection, if listCollections shows it.
	UUID oplog.UUID
	// Reason is the server's error.
	Reason string
}

// Listed is a server's catalog, as far as it could be listed.
type Listed struct {
	Versions []Version
	Unlisted []Unlisted
	// Of are the selections that were listed; nil for the whole catalog.
	Of []Selection
}

// hiddenView is the reason for a view that listCollections omits from 5.0 on: instead it shows
// the time series whose buckets the view reads.
const hiddenView = "the server does not list a view on the buckets of a time series"

// unknown reports whether a known namespace is missing from the listing because it could not be
// listed, and the reason.
func (l Listed) unknown(v Version) (reason string, ok bool) {
	for _, u := range l.Unlisted {
		renamed := !u.UUID.IsZero() && u.UUID == v.Definition.UUID
		if renamed || u.Covers(v.Namespace, v.Definition.Kind) {
			return u.Reason, true
		}
	}
	series, ok := seriesOfView(v)
	if ok && (l.lists(series) || slices.ContainsFunc(l.Unlisted, func(u Unlisted) bool { return u.Namespace == series })) {
		return hiddenView, true
	}
	return "", false
}

func (l Listed) lists(ns Namespace) bool {
	return slices.ContainsFunc(l.Versions, func(v Version) bool { return v.Namespace == ns })
}

// seriesOfView returns the time series whose buckets a user's view reads.
func seriesOfView(v Version) (Namespace, bool) {
	viewOn, _ := v.Definition.Options.Lookup("viewOn").StringValueOK()
	name, ok := strings.CutPrefix(viewOn, BucketsPrefix)
	return Namespace{Database: v.Namespace.Database, Collection: name}, ok && v.Definition.Kind == KindView
}

// SelectionsFor returns what must be listed to determine a part of a catalog: for a view on the
// buckets of a time series also the time series.
func SelectionsFor(known *Catalog, part Selection) []Selection {
	out := []Selection{part}
	if def, ok := known.Lookup(part.Namespace); ok {
		if series, ok := seriesOfView(Version{Namespace: part.Namespace, Definition: &def}); ok {
			out = append(out, Selection{Namespace: series})
		}
	}
	return out
}

// Update is the difference between a known catalog and a listed one.
type Update struct {
	// Versions are the new versions, null for dropped namespaces.
	Versions []Version
	// Undefined are the namespaces for which the listing has only the name.
	Undefined []Version
	// Unlisted are the namespaces that the listing does not cover; they are not compared.
	Unlisted []Unlisted
	// Kept are the known versions of unlisted namespaces.
	Kept []Version
}

// NewUpdate compares a known catalog with a listed one. The new versions get the given position.
func NewUpdate(known *Catalog, l Listed, at oplog.Moment) Update {
	var d Update
	moved := map[oplog.UUID]bool{}
	for _, v := range NewGeneratedNames().Classify(known, l.Versions) {
		if !v.Definition.Known() {
			if !v.Definition.Temporary {
				d.Undefined = append(d.Undefined, v)
			}
			continue
		}
		moved[v.Definition.UUID] = !v.Definition.UUID.IsZero()
		old, ok := known.Lookup(v.Namespace)
		if !ok || !old.EquivalentIdentity(*v.Definition) {
			v.OpTime, v.Wall = at.OpTime, at.Wall
			d.Versions = append(d.Versions, v)
		}
	}
	d.Unlisted = slices.Clone(l.Unlisted)
	for _, v := range l.missing(known, moved) {
		reason, unknown := l.unknown(v)
		switch {
		case !unknown:
			d.Versions = append(d.Versions, Version{Namespace: v.Namespace, OpTime: at.OpTime, Wall: at.Wall})
			continue
		case reason == hiddenView:
			d.Unlisted = append(d.Unlisted, Unlisted{Selection: Selection{Namespace: v.Namespace}, Reason: reason})
		}
		d.Kept = append(d.Kept, v)
	}
	return d
}

// missing returns the known namespaces that are not listed. If only a part was listed, namespaces
// with one of the moved UUIDs are missing too: they were renamed into that part.
func (l Listed) missing(known *Catalog, moved map[oplog.UUID]bool) []Version {
	there := make(map[Namespace]bool, len(l.Versions))
	for _, v := range l.Versions {
		there[v.Namespace] = v.Definition.Known()
	}
	return slices.DeleteFunc(known.All(), func(v Version) bool {
		return there[v.Namespace] || !l.covers(v) && !moved[v.Definition.UUID]
	})
}

func (l Listed) covers(v Version) bool {
	return l.Of == nil || slices.ContainsFunc(l.Of, func(s Selection) bool { return s.Covers(v.Namespace, v.Definition.Kind) })
}

// Without returns the listing without a selection, listed or not.
func (l Listed) Without(s Selection) Listed {
	l.Versions = slices.DeleteFunc(slices.Clone(l.Versions), func(v Version) bool { return s.Covers(v.Namespace, v.Definition.Kind) })
	l.Unlisted = slices.DeleteFunc(slices.Clone(l.Unlisted), func(u Unlisted) bool {
		return u.Selection == s || s.Covers(u.Namespace, KindView)
	})
	return l
}

// And returns the union of both listings.
func (l Listed) And(other Listed) Listed {
	l.Versions = slices.Concat(l.Versions, other.Versions)
	l.Unlisted = slices.Concat(l.Unlisted, other.Unlisted)
	return l
}
