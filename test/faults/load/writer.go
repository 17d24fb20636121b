package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

const (
	codeDuplicateKey    = 11000
	codeNamespaceExists = 48
)

// writer runs scenarios: short sequences of statements on names that are used only once. The names alone then show whether a
// statement without acknowledgement took place.
type writer struct {
	load   *Load
	number int
	rand   *rand.Rand
	serial int
}

// write runs all scenarios in random order, repeatedly.
func (w *writer) write() {
	all := scenarios()
	finished := sync.OnceFunc(w.load.allKinds.Done)
	defer finished()
	for {
		w.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, run := range all {
			if !w.load.pause() {
				return
			}
			run(w.newScenario())
		}
		finished()
	}
}

// scenario is one sequence. It ends at the first statement without acknowledgement, because the state is not known after
// it.
type scenario struct {
	*writer
	db   *mongo.Database
	name string
	over bool
}

func (w *writer) newScenario() *scenario {
	w.serial++
	return &scenario{writer: w, db: w.load.client.Database(w.load.prefix), name: fmt.Sprintf("s%d_%06d", w.number, w.serial)}
}

// ns returns the full name of a collection of the scenario.
func (s *scenario) ns(collection string) string { return s.db.Name() + "." + collection }

// do runs one statement, records its result, and reports whether it is doubtful.
func (s *scenario) do(cmd bson.D, effects ...ledger.Effect) (doubtful bool) {
	if s.over {
		return false
	}
	if s.over = !s.load.pause(); s.over {
		return false
	}
	return s.enter(s.load.run(s.db, cmd), effects...)
}

func (s *scenario) enter(err error, effects ...ledger.Effect) (doubtful bool) {
	if err == nil {
		s.load.ledger.Acknowledged(effects...)
		return false
	}
	s.over = true
	s.load.ledger.Doubtful(err, effects...)
	return true
}

// fill inserts documents into an existing collection.
func (s *scenario) fill(collection string, documents ...any) {
	if len(documents) == 0 {
		documents = []any{bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 2}}}
	}
	s.do(bson.D{{Key: "insert", Value: collection}, {Key: "documents", Value: documents}})
}

// failing builds an index that must fail: the oplog has its start, and an abort if the server logged one.
func (s *scenario) failing(cmd bson.D, aborted ledger.Effect) {
	if s.over {
		return
	}
	err := s.load.run(s.db, cmd)
	s.over = err == nil || !hasCode(err, codeDuplicateKey)
	if err == nil {
		err = errors.New("an index build that should fail did not")
	}
	s.load.ledger.Doubtful(err, aborted)
}

// transaction runs statements in one transaction. Without commit it has no effect.
func (s *scenario) transaction(commit bool, commands []bson.D, effects ...ledger.Effect) {
	if s.over {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	session, err := s.load.client.StartSession()
	if err != nil {
		s.over = true
		return
	}
	defer session.EndSession(ctx)
	err = session.StartTransaction(options.Transaction().SetWriteConcern(writeconcern.Majority()))
	inTransaction := mongo.NewSessionContext(ctx, session)
	for _, cmd := range commands {
		if err == nil {
			err = s.db.RunCommand(inTransaction, cmd).Err()
		}
	}
	if err != nil || !commit {
		s.over = err != nil
		_ = session.AbortTransaction(ctx)
		return
	}
	s.enter(session.CommitTransaction(ctx), effects...)
}

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

func exists(err error) bool { return hasCode(err, codeNamespaceExists) }
