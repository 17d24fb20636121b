package health

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// actorsCounted is the number of newest changes whose actors are counted.
const actorsCounted = 1000

// readActors counts the newest changes by the evidence of their actors. If ACTOR is off, an error is not reported as a problem.
func (c Check) readActors(ctx context.Context, r *Report) error {
	if err := c.countActors(ctx, r); err != nil && c.Actor.On() {
		return err
	}
	return nil
}

func (c Check) countActors(ctx context.Context, r *Report) error {
	cur, err := c.Sink.Collection(store.History).Find(ctx, bson.D{notification.IDsOfKind(string(r.Source), notification.IDOplog).Filter()},
		options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(actorsCounted).SetProjection(bson.D{{Key: store.FieldActor, Value: 1}}))
	if err != nil {
		return fmt.Errorf("read the actors: %w", err)
	}
	var docs []struct {
		ID    string      `bson:"_id"`
		Actor actor.Actor `bson:"actor"`
	}
	if err := cur.All(ctx, &docs); err != nil {
		return fmt.Errorf("read the actors: %w", err)
	}
	found := Actors{Sources: []ActorSource{}, Changes: len(docs)}
	var without []string
	for _, d := range docs {
		if d.Actor.IsZero() {
			without = append(without, d.ID)
		}
		found.add(d.Actor)
	}
	late, err := store.LateActors(ctx, c.Sink, without)
	if err != nil {
		return err
	}
	for _, raw := range late {
		var a actor.Actor
		if err := bson.Unmarshal(raw, &a); err != nil {
			return fmt.Errorf("decode an actor: %w", err)
		}
		found.add(a)
	}
	if c.Actor.On() || found.known() > 0 {
		r.Actors = &found
	}
	return nil
}

func (a *Actors) add(found actor.Actor) {
	switch {
	case found.IsZero():
	case found.Evidence == actor.BySession:
		a.BySession++
	case found.Exact:
		a.Exact++
	default:
		a.ByName++
	}
}

func (a *Actors) known() int { return a.Exact + a.ByName + a.BySession }

// checkActorSources tries the sources that this process can reach. A file is read on the host on which `status` runs.
func (c Check) checkActorSources(ctx context.Context, m oplog.Member, r *Report) {
	if r.Actors == nil {
		return
	}
	if c.Actor.GetLog {
		r.Actors.try("getlog", tryGetLog(ctx, m.Client))
	}
	for _, path := range c.Actor.Files {
		r.Actors.try("file:"+path, tryFile(path))
	}
}

func (a *Actors) try(name string, err error) {
	source := ActorSource{Name: name}
	if err != nil {
		source.Problem = privileges.Short(err)
	}
	a.Sources = append(a.Sources, source)
}

func tryGetLog(ctx context.Context, client *mongo.Client) error {
	_, err := (&getlog.Reader{Client: client}).Read(ctx)
	return err
}

func tryFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	return file.Close()
}

// writeActors writes the rows about actors.
func (r Report) writeActors(line line) {
	a := r.Actors
	if a == nil {
		return
	}
	line("actors", fmt.Sprintf("of the last %d changes %d by the log, %d by name and time, %d by session, %d not known",
		a.Changes, a.Exact, a.ByName, a.BySession, a.Changes-a.known()), terminal.Plain)
	for _, s := range a.Sources {
		if s.Problem != "" {
			line("actor source", terminal.Escape(s.Name+" does not work: "+strings.ReplaceAll(s.Problem, "\n", " ")), terminal.Yellow)
			continue
		}
		line("actor source", terminal.Escape(s.Name)+" works", terminal.Plain)
	}
}
