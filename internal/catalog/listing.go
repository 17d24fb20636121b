package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

const codeNamespaceNotFound = 26

// Listing asks one member what it has. Neither listCollections nor listIndexes
// has a majority read: what is listed counts only once the time of the last reply
// is majority-committed, and only for namespaces that nothing happened to since
// the moment that the listing began with.
type Listing struct {
	member    oplog.Member
	session   *mongo.Session
	after     bson.Timestamp
	generated schema.GeneratedNames
}

// NewListing begins a listing of what is there at or after a moment. The caller
// must Close it.
func NewListing(m oplog.Member, after bson.Timestamp) (*Listing, error) {
	session, err := m.Client.StartSession(options.Session().SetCausalConsistency(false))
	if err != nil {
		return nil, fmt.Errorf("start a session on %s: %w", m.Host, err)
	}
	return &Listing{member: m, session: session, after: after, generated: schema.NewGeneratedNames()}, nil
}

// Close ends the listing's session.
func (l *Listing) Close() { l.session.EndSession(context.Background()) }

// Until is the time of the last reply.
func (l *Listing) Until() bson.Timestamp {
	if ts := l.session.OperationTime(); ts != nil {
		return *ts
	}
	return l.after
}

// Databases lists the databases: all of them, or it fails. By default a server
// leaves out in silence those that the user may not see.
func (l *Listing) Databases(ctx context.Context) ([]string, error) {
	var reply struct {
		Databases []struct {
			Name string `bson:"name"`
		} `bson:"databases"`
	}
	err := l.member.Client.Database("admin").RunCommand(mongo.NewSessionContext(ctx, l.session), bson.D{
		{Key: "listDatabases", Value: 1}, {Key: "nameOnly", Value: true}, {Key: "authorizedDatabases", Value: false}, l.readConcern(),
	}).Decode(&reply)
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", l.member.Host, err)
	}
	names := make([]string, len(reply.Databases))
	for i, d := range reply.Databases {
		names[i] = d.Name
	}
	return names, nil
}

// info is one namespace as listCollections shows it.
type info struct {
	Name    string      `bson:"name"`
	Type    schema.Kind `bson:"type"`
	Options bson.Raw    `bson:"options"`
	Info    struct {
		UUID bson.Binary `bson:"uuid"`
	} `bson:"info"`
}

// Collections lists a database's namespaces without their indexes: all of them, or
// only those named.
func (l *Listing) Collections(ctx context.Context, db string, only ...string) ([]schema.Version, error) {
	cmd := bson.D{{Key: "listCollections", Value: 1}, l.readConcern()}
	if len(only) > 0 {
		names := slices.Clone(only)
		for _, name := range only {
			names = append(names, schema.BucketsPrefix+name)
		}
		cmd = append(cmd, bson.E{Key: "filter", Value: bson.D{{Key: "name", Value: bson.D{{Key: "$in", Value: names}}}}})
	}
	var infos []info
	if err := l.all(ctx, db, cmd, &infos); err != nil {
		return nil, fmt.Errorf("list the collections of %s: %w", db, err)
	}
	buckets := map[string]bson.Binary{}
	for _, i := range infos {
		if name, ok := strings.CutPrefix(i.Name, schema.BucketsPrefix); ok {
			buckets[name] = i.Info.UUID
		}
	}
	var out []schema.Version
	for _, i := range infos {
		if strings.HasPrefix(i.Name, "system.") {
			continue
		}
		id := i.Info.UUID
		if i.Type == schema.KindTimeSeries && len(id.Data) == 0 {
			id = buckets[i.Name]
		}
		def, err := schema.ListedDefinition(i.Type, i.Options, uuidOf(id))
		if err != nil {
			return nil, fmt.Errorf("list the collections of %s: %s: %w", db, i.Name, err)
		}
		def.Temporary = def.Temporary || l.generated.CreatedByServer(i.Name)
		out = append(out, schema.Version{
			Namespace:  schema.Namespace{Database: db, Collection: i.Name},
			Definition: &def,
		})
	}
	return out, nil
}

func uuidOf(b bson.Binary) oplog.UUID {
	if len(b.Data) != len(oplog.UUID{}) {
		return oplog.UUID{}
	}
	return oplog.UUID(b.Data)
}

// Indexes lists the specs of a collection's indexes but _id_ and those still being
// built. A collection that is gone has none, which is no error.
func (l *Listing) Indexes(ctx context.Context, ns schema.Namespace) ([]bson.Raw, error) {
	cmd := bson.D{{Key: "listIndexes", Value: ns.Collection}, {Key: "includeBuildUUIDs", Value: true}, l.readConcern()}
	var specs []bson.Raw
	err := l.all(ctx, ns.Database, cmd, &specs)
	var se mongo.ServerError
	if errors.As(err, &se) && se.HasErrorCode(codeNamespaceNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the indexes of %s: %w", ns, err)
	}
	var out []bson.Raw
	for _, spec := range specs {
		if finished, ok := finishedSpec(spec); ok {
			out = append(out, finished)
		}
	}
	return out, nil
}

// finishedSpec leaves out builds in progress, whose spec is listed beside their UUID,
// and the index on _id, which every collection has.
func finishedSpec(spec bson.Raw) (bson.Raw, bool) {
	if _, err := spec.LookupErr("buildUUID"); err == nil {
		return nil, false
	}
	if _, err := spec.LookupErr("indexBuildInfo"); err == nil {
		return nil, false
	}
	if name, _ := spec.Lookup("name").StringValueOK(); name == "_id_" || truthy(spec.Lookup("clustered")) {
		return nil, false
	}
	return spec, true
}

func truthy(v bson.RawValue) bool {
	b, ok := v.BooleanOK()
	return ok && b
}

func (l *Listing) all(ctx context.Context, db string, cmd bson.D, into any) error {
	ctx = mongo.NewSessionContext(ctx, l.session)
	cur, err := l.member.Client.Database(db).RunCommandCursor(ctx, cmd)
	if err != nil {
		return err
	}
	return cur.All(ctx, into)
}

func (l *Listing) readConcern() bson.E {
	return bson.E{Key: "readConcern", Value: bson.D{{Key: "level", Value: "local"}, {Key: "afterClusterTime", Value: l.after}}}
}
