package snapshot

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// Listing reads the catalog of one member. listCollections and listIndexes do not support read
// concern majority: a listing is valid only after the time of the last reply is majority-committed,
// and only for namespaces without an entry since the optime after which the listing began.
type Listing struct {
	// Progress, if not nil, is called after each listIndexes.
	Progress func(done, total int)

	member  oplog.Member
	session *mongo.Session
	after   bson.Timestamp
}

// NewListing begins a listing of the catalog at or after an optime. The caller must Close it.
func NewListing(m oplog.Member, after bson.Timestamp) (*Listing, error) {
	session, err := m.Client.StartSession(options.Session().SetCausalConsistency(false))
	if err != nil {
		return nil, fmt.Errorf("start a session on %s: %w", m.Host, err)
	}
	return &Listing{member: m, session: session, after: after}, nil
}

// Close ends the listing's session.
func (l *Listing) Close() { l.session.EndSession(context.Background()) }

// Until returns the time of the last reply.
func (l *Listing) Until() bson.Timestamp {
	if ts := l.session.OperationTime(); ts != nil {
		return *ts
	}
	return l.after
}

// List lists the namespaces in scope, or only those of some selections. Namespaces that the server
// cannot list are in Listed.Unlisted; the error concerns the connection, not an object.
func (l *Listing) List(ctx context.Context, watch schema.Scope, of ...schema.Selection) (schema.Listed, error) {
	databases := databasesOf(of)
	if len(of) == 0 {
		var err error
		if databases, err = l.databases(ctx); err != nil {
			return schema.Listed{}, err
		}
	}
	listed := schema.Listed{Of: of}
	for _, db := range databases {
		if !watch.Includes(schema.Namespace{Database: db}) {
			continue
		}
		found, err := l.collections(ctx, db, namesOf(of, db))
		if err != nil {
			return schema.Listed{}, err
		}
		listed = listed.And(within(found, watch, of))
	}
	return l.withIndexes(ctx, listed)
}

func databasesOf(of []schema.Selection) []string {
	var names []string
	for _, s := range of {
		if !slices.Contains(names, s.Namespace.Database) {
			names = append(names, s.Namespace.Database)
		}
	}
	return names
}

// namesOf returns the collections in a database that the selections name; none if they select the
// whole database.
func namesOf(of []schema.Selection, db string) []string {
	var names []string
	for _, s := range of {
		switch {
		case s.Namespace.Database != db:
		case s.Namespace.Collection == "":
			return nil
		default:
			names = append(names, s.Namespace.Collection)
		}
	}
	return names
}

// within returns the listing without namespaces that are out of scope or not selected.
func within(l schema.Listed, watch schema.Scope, of []schema.Selection) schema.Listed {
	excluded := func(ns schema.Namespace, kind schema.Kind) bool {
		selected := len(of) == 0 || slices.ContainsFunc(of, func(s schema.Selection) bool { return s.Covers(ns, kind) })
		return !selected || !watch.Includes(ns)
	}
	l.Versions = slices.DeleteFunc(l.Versions, func(v schema.Version) bool { return excluded(v.Namespace, v.Definition.Kind) })
	l.Unlisted = slices.DeleteFunc(l.Unlisted, func(u schema.Unlisted) bool {
		return u.Namespace.Collection != "" && excluded(u.Namespace, schema.KindView)
	})
	return l
}

// databases lists all databases, or returns an error. By default a server omits databases that the
// user may not see, without an error.
func (l *Listing) databases(ctx context.Context) ([]string, error) {
	var reply struct {
		Databases []struct {
			Name string `bson:"name"`
		} `bson:"databases"`
	}
	cmd := bson.D{{Key: "listDatabases", Value: 1}, {Key: "nameOnly", Value: true}, {Key: "authorizedDatabases", Value: false}, l.readConcern()}
	err := l.bounded(ctx, func(ctx context.Context, _ func()) error {
		return l.member.Client.Database("admin").RunCommand(ctx, cmd).Decode(&reply)
	})
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", l.member.Host, err)
	}
	names := make([]string, len(reply.Databases))
	for i, d := range reply.Databases {
		names[i] = d.Name
	}
	return names, nil
}

// info is one namespace in a reply of listCollections.
type info struct {
	Name    string      `bson:"name"`
	Type    schema.Kind `bson:"type"`
	Options bson.Raw    `bson:"options"`
	Info    struct {
		UUID bson.Binary `bson:"uuid"`
	} `bson:"info"`
}

// collections lists a database's namespaces without their indexes: all of them, or at least those
// named. If listCollections fails because of an invalid view, it lists only the collections.
func (l *Listing) collections(ctx context.Context, db string, names []string) (schema.Listed, error) {
	infos, err := l.infos(ctx, db, nameFilter(names))
	if err == nil {
		return listedOf(db, infos), nil
	}
	if SubjectOf(err) == Connection {
		return schema.Listed{}, fmt.Errorf("list the collections of %s: %w", db, err)
	}
	all := schema.Selection{Namespace: schema.Namespace{Database: db}}
	infos, withoutViews := l.infos(ctx, db, collectionsOnly())
	switch {
	case withoutViews == nil:
		listed := listedOf(db, withSeries(infos))
		all.Views = true
		listed.Unlisted = append(listed.Unlisted, schema.Unlisted{Selection: all, Reason: reasonOf(err)})
		return listed, nil
	case SubjectOf(withoutViews) == Connection:
		return schema.Listed{}, fmt.Errorf("list the collections of %s: %w", db, withoutViews)
	}
	return schema.Listed{Unlisted: []schema.Unlisted{{Selection: all, Reason: reasonOf(err)}}}, nil
}

// nameFilter selects namespaces by name, and the bucket collections of time series among them.
func nameFilter(names []string) bson.D {
	if len(names) == 0 {
		return bson.D{}
	}
	all := slices.Clone(names)
	for _, name := range names {
		all = append(all, schema.BucketsPrefix+name)
	}
	return bson.D{{Key: "name", Value: bson.D{{Key: "$in", Value: all}}}}
}

// collectionsOnly is the filter for which servers do not read views. They recognise only exactly this
// filter, in this order.
func collectionsOnly() bson.D {
	return bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "type", Value: schema.KindCollection}},
		bson.D{{Key: "type", Value: bson.D{{Key: "$exists", Value: false}}}},
	}}}
}

func (l *Listing) infos(ctx context.Context, db string, filter bson.D) ([]info, error) {
	cmd := bson.D{{Key: "listCollections", Value: 1}, l.readConcern(), {Key: "filter", Value: filter}}
	return run[info](ctx, l, db, cmd)
}

// withIndexes adds the indexes of the listed collections.
func (l *Listing) withIndexes(ctx context.Context, listed schema.Listed) (schema.Listed, error) {
	kept := make([]schema.Version, 0, len(listed.Versions))
	for i, v := range listed.Versions {
		specs, unlisted, err := l.indexes(ctx, v)
		if err != nil {
			return schema.Listed{}, err
		}
		if unlisted != "" {
			listed.Unlisted = append(listed.Unlisted, schema.Unlisted{
				Selection: schema.Selection{Namespace: v.Namespace}, UUID: v.Definition.UUID, Reason: unlisted,
			})
			continue
		}
		v.Definition.Indexes = specs
		kept = append(kept, v)
		if l.Progress != nil {
			l.Progress(i+1, len(listed.Versions))
		}
	}
	listed.Versions = kept
	return listed, nil
}

// indexes lists the specs of a namespace's indexes, without _id_ and unfinished builds, or returns why
// the server cannot list them.
func (l *Listing) indexes(ctx context.Context, v schema.Version) (specs []bson.Raw, unlisted string, err error) {
	if v.Definition.Kind == schema.KindView {
		return nil, "", nil
	}
	cmd := bson.D{{Key: "listIndexes", Value: v.Namespace.Collection}, {Key: "includeBuildUUIDs", Value: true}, l.readConcern()}
	found, err := run[bson.Raw](ctx, l, v.Namespace.Database, cmd)
	switch {
	case err != nil && SubjectOf(err) == Object:
		return nil, reasonOf(err), nil
	case err != nil:
		return nil, "", fmt.Errorf("list the indexes of %s: %w", v.Namespace, err)
	case v.Definition.Kind == schema.KindTimeSeries && v.Definition.Options.Lookup("timeseries").Type != bson.TypeEmbeddedDocument:
		return nil, "a view on the buckets of a time series, which do not exist", nil
	}
	for _, spec := range found {
		if finished, ok := finishedSpec(spec); ok {
			specs = append(specs, finished)
		}
	}
	if v.Definition.Kind == schema.KindTimeSeries && len(specs) > 0 {
		specs, err = l.withHidden(ctx, v.Namespace, specs)
	}
	return specs, "", err
}

// withHidden corrects the option hidden of a time series' indexes: servers list the spec as the
// user created it, and a collMod changes only the index on the buckets. If the buckets cannot
// be listed, it returns the specs unchanged.
func (l *Listing) withHidden(ctx context.Context, ns schema.Namespace, specs []bson.Raw) ([]bson.Raw, error) {
	stored, err := run[bson.Raw](ctx, l, ns.Database, bson.D{{Key: "listIndexes", Value: schema.BucketsPrefix + ns.Collection}, l.readConcern()})
	if err != nil && (SubjectOf(err) == Object || privileges.IsUnauthorized(err)) {
		return specs, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the indexes on the buckets of %s: %w", ns, err)
	}
	hidden := map[string]bool{}
	for _, spec := range stored {
		hidden[schema.IndexName(spec)] = rawdoc.Truthy(spec.Lookup("hidden"))
	}
	for i, spec := range specs {
		now, found := hidden[schema.IndexName(spec)]
		if !found || now == rawdoc.Truthy(spec.Lookup("hidden")) {
			continue
		}
		if specs[i], err = rawdoc.With(spec, "hidden", now); err != nil {
			return nil, fmt.Errorf("hidden of an index of %s: %w", ns, err)
		}
	}
	return specs, nil
}

// finishedSpec returns false for builds in progress, which are listed with their UUID, for the
// index on _id, which every collection has, and for indexes on the buckets of a time series that
// have no form with the user's fields: servers list those with an empty key.
func finishedSpec(spec bson.Raw) (bson.Raw, bool) {
	if _, err := spec.LookupErr("buildUUID"); err == nil {
		return nil, false
	}
	if _, err := spec.LookupErr("indexBuildInfo"); err == nil {
		return nil, false
	}
	if name, _ := spec.Lookup("name").StringValueOK(); name == "_id_" || rawdoc.Truthy(spec.Lookup("clustered")) {
		return nil, false
	}
	key, _ := spec.Lookup("key").DocumentOK()
	_, err := key.IndexErr(0)
	return spec, err == nil
}

// bounded calls work in the listing's session. A server that does not reply is an error, also if it waits for a lock on a collection, such
// as that of a validate: 4.4 does.
func (l *Listing) bounded(ctx context.Context, work func(ctx context.Context, received func()) error) error {
	return oplog.AwaitReplies(mongo.NewSessionContext(ctx, l.session), work)
}

// run returns the documents of a listing command.
func run[T any](ctx context.Context, l *Listing, db string, cmd bson.D) ([]T, error) {
	var found []T
	err := l.bounded(ctx, func(ctx context.Context, received func()) error {
		cur, err := l.member.Client.Database(db).RunCommandCursor(ctx, cmd)
		if err != nil {
			return err
		}
		defer cur.Close(ctx)
		for cur.Next(ctx) {
			received()
			var one T
			if err := cur.Decode(&one); err != nil {
				return err
			}
			found = append(found, one)
		}
		return cur.Err()
	})
	return found, err
}

// readConcern returns a read concern that waits for the optime after which the listing begins. For a
// server without an oplog it is zero, and does not wait.
func (l *Listing) readConcern() bson.E {
	if l.after.IsZero() {
		return bson.E{Key: "readConcern", Value: bson.D{{Key: "level", Value: "local"}}}
	}
	return bson.E{Key: "readConcern", Value: bson.D{{Key: "level", Value: "local"}, {Key: "afterClusterTime", Value: l.after}}}
}
