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

// writer tells stories: short sequences of statements about names that nobody else uses and that no story uses again. So whether a
// statement whose acknowledgement was lost took place can be seen by its names alone.
type writer struct {
	load   *Load
	number int
	rand   *rand.Rand
	serial int
}

// write tells all stories in a random order, and again in another.
func (w *writer) write() {
	all := stories()
	told := sync.OnceFunc(w.load.whole.Done)
	defer told()
	for {
		w.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, tell := range all {
			if !w.load.rest() {
				return
			}
			tell(w.newStory())
		}
		told()
	}
}

// story is one sequence. It ends at the first statement that is not acknowledged: what stands then is not known any more.
type story struct {
	*writer
	db   *mongo.Database
	name string
	over bool
}

func (w *writer) newStory() *story {
	w.serial++
	return &story{writer: w, db: w.load.client.Database(w.load.prefix), name: fmt.Sprintf("s%d_%06d", w.number, w.serial)}
}

// ns is the full name of a collection of the story.
func (s *story) ns(collection string) string { return s.db.Name() + "." + collection }

// do returns one statement, enters what came of it, and says whether that is in doubt.
func (s *story) do(cmd bson.D, effects ...ledger.Effect) (doubtful bool) {
	if s.over {
		return false
	}
	if s.over = !s.load.rest(); s.over {
		return false
	}
	return s.enter(s.load.run(s.db, cmd), effects...)
}

func (s *story) enter(err error, effects ...ledger.Effect) (doubtful bool) {
	if err == nil {
		s.load.book.Acknowledged(effects...)
		return false
	}
	s.over = true
	s.load.book.Doubtful(err, effects...)
	return true
}

// fill writes documents into a collection that is there.
func (s *story) fill(collection string, documents ...any) {
	if len(documents) == 0 {
		documents = []any{bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 2}}}
	}
	s.do(bson.D{{Key: "insert", Value: collection}, {Key: "documents", Value: documents}})
}

// failing builds an index that cannot be: the oplog has its start, and an abort if the server got so far as to log one.
func (s *story) failing(cmd bson.D, aborted ledger.Effect) {
	if s.over {
		return
	}
	err := s.load.run(s.db, cmd)
	s.over = err == nil || !hasCode(err, codeDuplicateKey)
	if err == nil {
		err = errors.New("an index build that should fail did not")
	}
	s.load.book.Doubtful(err, aborted)
}

// transaction returns statements in one transaction. Where it was not asked to commit, nothing happened.
func (s *story) transaction(commit bool, commands []bson.D, effects ...ledger.Effect) {
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
