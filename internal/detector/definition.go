package detector

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Kind is the kind of a namespace.
type Kind string

// The kinds of namespaces, named as listCollections does.
const (
	KindCollection Kind = "collection"
	KindView       Kind = "view"
	KindTimeSeries Kind = "timeseries"
)

// Definition is all that makes a namespace what it is. It is a value: what
// changes it makes another one.
type Definition struct {
	Kind Kind
	UUID oplog.UUID
	// Options are as listCollections gives them: a view's viewOn, pipeline and
	// collation, a time series' by the user's own field names.
	Options bson.Raw
	// Indexes are the specs but for _id_, in the order in which they came.
	Indexes []bson.Raw
	// Since is the optime of the version that this is; zero in a unit's midst.
	Since oplog.OpTime
	// Temporary marks what the server makes for itself, to rename or drop it.
	Temporary bool
}

// Known reports whether more is known than that there is such a namespace.
func (d Definition) Known() bool { return d.Options != nil }

// Index returns the spec of that name, nil where there is none.
func (d Definition) Index(name string) bson.Raw {
	for _, spec := range d.Indexes {
		if specName(spec) == name {
			return spec
		}
	}
	return nil
}

// withIndex puts a spec in the place of the one of its name, or at the end.
func (d Definition) withIndex(spec bson.Raw) Definition {
	name := specName(spec)
	indexes := slices.Clone(d.Indexes)
	for i := range indexes {
		if specName(indexes[i]) == name {
			indexes[i] = spec
			d.Indexes = indexes
			return d
		}
	}
	d.Indexes = append(indexes, spec)
	return d
}

func (d Definition) withoutIndex(name string) Definition {
	d.Indexes = slices.DeleteFunc(slices.Clone(d.Indexes), func(spec bson.Raw) bool { return specName(spec) == name })
	return d
}

func (d Definition) clone() Definition {
	d.Options = slices.Clone(d.Options)
	d.Indexes = slices.Clone(d.Indexes)
	for i := range d.Indexes {
		d.Indexes[i] = slices.Clone(d.Indexes[i])
	}
	return d
}

func specName(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

// Namespace is a database and a collection in it.
type Namespace struct{ Database, Collection string }

func (n Namespace) String() string { return n.Database + "." + n.Collection }

// Version is how a namespace was defined from an optime on, until the next one.
type Version struct {
	Namespace Namespace
	OpTime    oplog.OpTime
	Wall      time.Time
	// Definition is nil where the namespace was dropped.
	Definition *Definition
}

// ListedDefinition makes a definition of what listCollections shows, in the form
// that entries of the oplog give it.
func ListedDefinition(kind Kind, options bson.Raw, id oplog.UUID) (Definition, error) {
	if kind == "" {
		kind = KindCollection
	}
	kept, err := without(options, "temp", "uuid", "autoIndexId")
	if err == nil && kind == KindTimeSeries {
		kept, err = timeSeriesOptions(kept)
	}
	if err != nil {
		return Definition{}, err
	}
	return Definition{Kind: kind, UUID: id, Options: kept, Temporary: truthy(options.Lookup("temp"))}, nil
}

// Clone copies all that the version shares with the bytes of an entry.
func (v Version) Clone() Version {
	if v.Definition != nil {
		def := v.Definition.clone()
		v.Definition = &def
	}
	return v
}
