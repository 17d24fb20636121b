package store

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// QueueRisks describes the indexes and options that may remove or refuse notifications in a
// queue that ddltail did not create. Those that the user may not list are omitted.
func QueueRisks(ctx context.Context, db *mongo.Database) ([]string, error) {
	var infos []struct {
		Options bson.Raw `bson:"options"`
	}
	cur, err := db.ListCollections(ctx, bson.D{{Key: "name", Value: Notifications}})
	if err == nil {
		err = cur.All(ctx, &infos)
	}
	var options bson.Raw
	if len(infos) > 0 {
		options = infos[0].Options
	}
	var specs []bson.Raw
	indexes, indexErr := db.Collection(Notifications).Indexes().List(ctx)
	if indexErr == nil {
		indexErr = indexes.All(ctx, &specs)
	}
	return queueRisks(options, specs), errors.Join(err, indexErr)
}

func queueRisks(options bson.Raw, indexes []bson.Raw) []string {
	var risks []string
	if capped, _ := options.Lookup("capped").BooleanOK(); capped {
		risks = append(risks, "it is capped: the oldest documents are removed, processed or not")
	}
	if _, err := options.LookupErr("expireAfterSeconds"); err == nil {
		risks = append(risks, "its expireAfterSeconds removes documents, processed or not")
	}
	if validator, _ := options.Lookup("validator").DocumentOK(); len(validator) > len(bson.Raw{5, 0, 0, 0, 0}) {
		risks = append(risks, "it has a validator, which may refuse notifications and the fields that `listen` adds")
	}
	for _, spec := range indexes {
		name, _ := spec.Lookup("name").StringValueOK()
		if _, err := spec.LookupErr("expireAfterSeconds"); err == nil {
			risks = append(risks, fmt.Sprintf("the index %s removes documents (expireAfterSeconds), processed or not", name))
		}
		unique := rawdoc.Truthy(spec.Lookup("unique")) || rawdoc.Truthy(spec.Lookup("prepareUnique"))
		if unique && !rawdoc.Truthy(spec.Lookup("clustered")) {
			risks = append(risks, fmt.Sprintf("the unique index %s may refuse notifications", name))
		}
	}
	return risks
}
