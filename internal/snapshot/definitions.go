package snapshot

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// listedOf returns the definitions in a reply of listCollections. A time series is listed twice: by
// its name, up to 8.x without a UUID, and as its bucket collection. If a collection, a view and a
// time series have one name, servers use the collection.
func listedOf(db string, infos []info) schema.Listed {
	buckets, shown, collections := map[string]bson.Binary{}, map[string]bool{}, map[string]bool{}
	for _, i := range infos {
		shown[i.Name] = true
		collections[i.Name] = collections[i.Name] || i.Type == schema.KindCollection
		name, named := strings.CutPrefix(i.Name, schema.BucketsPrefix)
		if _, err := i.Options.LookupErr("timeseries"); named && err == nil {
			buckets[name] = i.Info.UUID
		}
	}
	var listed schema.Listed
	generated := schema.NewGeneratedNames()
	for _, i := range infos {
		if strings.HasPrefix(i.Name, "system.") || i.Type != schema.KindCollection && collections[i.Name] {
			continue
		}
		id := i.Info.UUID
		if i.Type == schema.KindTimeSeries && len(id.Data) == 0 {
			id = buckets[i.Name]
		}
		ns := schema.Namespace{Database: db, Collection: i.Name}
		def, err := schema.ListedDefinition(i.Type, i.Options, uuidOf(id))
		if err != nil {
			listed.Unlisted = append(listed.Unlisted, schema.Unlisted{
				Selection: schema.Selection{Namespace: ns}, UUID: uuidOf(id), Reason: err.Error(),
			})
			continue
		}
		def.Temporary = def.Temporary || generated.CreatedByServer(i.Name)
		listed.Versions = append(listed.Versions, schema.Version{Namespace: ns, Definition: &def})
	}
	for name, id := range buckets {
		if !shown[name] && !generated.CreatedByServer(name) {
			listed.Unlisted = append(listed.Unlisted, schema.Unlisted{
				Selection: schema.Selection{Namespace: schema.Namespace{Database: db, Collection: name}},
				UUID:      uuidOf(id), Reason: "half of a time series: its buckets without its view",
			})
		}
	}
	return listed
}

// withSeries adds the time series of the listed bucket collections, if they were not listed because
// the database's views cannot be listed.
func withSeries(infos []info) []info {
	for _, i := range infos {
		name, ok := strings.CutPrefix(i.Name, schema.BucketsPrefix)
		if _, err := i.Options.LookupErr("timeseries"); ok && err == nil {
			i.Name, i.Type = name, schema.KindTimeSeries
			infos = append(infos, i)
		}
	}
	return infos
}

func uuidOf(b bson.Binary) oplog.UUID {
	if len(b.Data) != len(oplog.UUID{}) {
		return oplog.UUID{}
	}
	return oplog.UUID(b.Data)
}
