package schema

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// Kind is the kind of a namespace.
type Kind string

// The kinds of namespaces, named as listCollections does.
const (
	KindCollection Kind = "collection"
	KindView       Kind = "view"
	KindTimeSeries Kind = "timeseries"
)

// Definition is the schema of one namespace. It is a value: a change returns another
// one.
type Definition struct {
	Kind Kind
	UUID oplog.UUID
	// Options are in the form of listCollections: for a view its viewOn, pipeline and collation;
	// for a time series with the user's field names.
	Options bson.Raw
	// Indexes are the specs without _id_, in the order of their creation.
	Indexes []bson.Raw
	// Since is the optime of this version; zero within a unit.
	Since oplog.OpTime
	// Temporary is true for a collection that was created with temp: true (Options then has
	// temp), or by the server with a generated name, to be renamed or dropped.
	Temporary bool
}

// Known reports whether more than the name is known.
func (d Definition) Known() bool { return d.Options != nil }

// Index returns the spec with this name, nil if there is none.
func (d Definition) Index(name string) bson.Raw {
	for _, spec := range d.Indexes {
		if IndexName(spec) == name {
			return spec
		}
	}
	return nil
}

// WithIndex returns the definition with a spec that replaces the one with the same name, or is
// appended.
func (d Definition) WithIndex(spec bson.Raw) Definition {
	name := IndexName(spec)
	indexes := slices.Clone(d.Indexes)
	for i := range indexes {
		if IndexName(indexes[i]) == name {
			indexes[i] = spec
			d.Indexes = indexes
			return d
		}
	}
	d.Indexes = append(indexes, spec)
	return d
}

// WithoutIndex returns the definition without the index with this name.
func (d Definition) WithoutIndex(name string) Definition {
	d.Indexes = slices.DeleteFunc(slices.Clone(d.Indexes), func(spec bson.Raw) bool { return IndexName(spec) == name })
	return d
}

// Clone returns a deep copy.
func (d Definition) Clone() Definition {
	d.Options = slices.Clone(d.Options)
	d.Indexes = slices.Clone(d.Indexes)
	for i := range d.Indexes {
		d.Indexes[i] = slices.Clone(d.Indexes[i])
	}
	return d
}

// IndexName returns the name in an index spec, empty if there is none.
func IndexName(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

// Namespace is a database and a collection in it.
type Namespace struct{ Database, Collection string }

func (n Namespace) String() string { return n.Database + "." + n.Collection }

// Version is the definition of a namespace from an optime on, until the next version.
type Version struct {
	Namespace Namespace
	OpTime    oplog.OpTime
	Wall      time.Time
	// Definition is nil if the namespace was dropped.
	Definition *Definition
}

// ListedDefinition returns the definition of a namespace in listCollections, in the form of oplog
// entries.
func ListedDefinition(kind Kind, options bson.Raw, id oplog.UUID) (Definition, error) {
	if kind == "" {
		kind = KindCollection
	}
	kept, err := rawdoc.Without(options, "uuid", "autoIndexId")
	if err == nil && kind == KindTimeSeries {
		kept, err = TimeSeriesOptions(kept)
	}
	if err != nil {
		return Definition{}, err
	}
	return Definition{Kind: kind, UUID: id, Options: kept, Temporary: rawdoc.Truthy(options.Lookup("temp"))}, nil
}

// Clone returns a deep copy, which shares no bytes with an entry.
func (v Version) Clone() Version {
	if v.Definition != nil {
		def := v.Definition.Clone()
		v.Definition = &def
	}
	return v
}

// TimeSeriesOptions returns the options of a bucket collection without those that the server
// adds: the options that listCollections shows for the time series.
func TimeSeriesOptions(options bson.Raw) (bson.Raw, error) {
	servers := []string{"validator", "clusteredIndex", "uuid"}
	if engine, err := options.LookupErr("storageEngine"); err == nil && option.Collection("storageEngine").IsDefault(engine) {
		servers = append(servers, "storageEngine")
	}
	return rawdoc.Without(options, servers...)
}
