package drift

import (
	"compress/gzip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// dump writes the metadata that mongodump would, every second file with gzip.
func (r *random) dump(folder string) string {
	r.Helper()
	for _, name := range r.dbs {
		db := r.client.Database(name)
		cur, err := db.ListCollections(r.Context(), bson.D{})
		if err != nil {
			r.Fatal(err)
		}
		var infos []bson.Raw
		if err := cur.All(r.Context(), &infos); err != nil {
			r.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			r.Fatal(err)
		}
		for i, info := range infos {
			collection := info.Lookup("name").StringValue()
			if strings.HasPrefix(collection, "system.") {
				continue
			}
			path := filepath.Join(folder, name, url.QueryEscape(collection)+".metadata.json")
			r.writeMetadata(path, i%2 == 0, info, name, collection)
		}
	}
	return folder
}

func (r *random) writeMetadata(path string, zipped bool, info bson.Raw, db, collection string) {
	r.Helper()
	indexes := []bson.Raw{}
	if info.Lookup("type").StringValue() != "view" {
		cur, err := r.client.Database(db).RunCommandCursor(r.Context(), bson.D{{Key: "listIndexes", Value: collection}})
		if err != nil {
			r.Fatal(err)
		}
		if err := cur.All(r.Context(), &indexes); err != nil {
			r.Fatal(err)
		}
	}
	text, err := bson.MarshalExtJSON(bson.D{
		{Key: "options", Value: info.Lookup("options")}, {Key: "indexes", Value: indexes},
		{Key: "collectionName", Value: collection}, {Key: "type", Value: info.Lookup("type")},
	}, true, false)
	if err != nil {
		r.Fatal(err)
	}
	if !zipped {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			r.Fatal(err)
		}
		return
	}
	file, err := os.Create(path + ".gz")
	if err != nil {
		r.Fatal(err)
	}
	z := gzip.NewWriter(file)
	_, err = z.Write(text)
	for _, err := range []error{err, z.Close(), file.Close()} {
		if err != nil {
			r.Fatal(err)
		}
	}
}
