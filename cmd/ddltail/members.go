package main

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/store"
)

// seedsOf returns the seeds from which the members of the set are discovered.
func seedsOf(cfg config.Config) replicaset.Seeds {
	return replicaset.Seeds{
		Hosts: cfg.MongoDB.Hosts(), Options: cfg.MongoDB.Options(), Direct: cfg.MongoDB.Direct(),
		Known: &replicaset.Known{}, PathIsAuthSource: cfg.MongoDB.PathIsAuthSource(),
	}
}

// restoreMembers reads the members that an earlier process recorded, which may be more than
// the URI names. It does nothing if both URIs name the same hosts: the sink, which holds the
// record, can then be reached only through a member of the URI.
func restoreMembers(ctx context.Context, cfg config.Config, db *mongo.Database, known *replicaset.Known) error {
	source := cfg.Source
	if set := cfg.MongoDB.Options().ReplicaSet; source == "" && set != nil {
		source = *set
	}
	if source == "" || sameHosts(cfg) {
		return nil
	}
	stored, _, err := checkpoint.NewStore(db.Collection(store.Checkpoints), source, cfg.Name).Load(ctx)
	known.Restore(stored.Members)
	return err
}

func sameHosts(cfg config.Config) bool { return slices.Equal(cfg.MongoDB.Hosts(), cfg.Sink.Hosts()) }
