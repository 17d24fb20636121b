package verdict

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// stored is the state of ddltail's own collections while the writes are replayed.
type stored struct {
	*judge
	sinks []string
	// documents are, for each sink, the _ids received since it was last dropped, and whether they are
	// processed.
	documents map[string]map[string]bool
	// dropped is when a sink was last dropped: earlier changes do not have to be in it.
	dropped map[string]bson.Timestamp
	// position is that of the checkpoint; zero while the checkpoint is lost.
	position bson.Timestamp
	// passed is the number of changes that a checkpoint has passed.
	passed int
	// shared is true if detectors of another NAME write to the same catalog, each after its own sinks.
	shared bool
	// changes are those that must be reported from the oplog.
	changes []ledger.Change
}

// resume replays the writes in their order and checks that a process could crash after each: the next one starts with the
// stored state.
func (j *judge) resume() {
	s := stored{judge: j, documents: map[string]map[string]bool{}, dropped: map[string]bson.Timestamp{}}
	var gaps delivery
	for _, sink := range j.run.Sinks {
		if sink.Name == ledger.History || sink.Name == ledger.Queue {
			s.sinks = append(s.sinks, sink.Name)
			s.documents[sink.Name] = map[string]bool{}
			gaps.gaps = append(gaps.gaps, j.delivered(sink).gaps...)
		}
	}
	logged := slices.ContainsFunc(j.run.Writes, func(w ledger.Write) bool { return w.Action == ledger.Advance })
	s.shared = slices.ContainsFunc(j.run.Writes, func(w ledger.Write) bool { return w.Action == ledger.Advance && w.ID != s.checkpointID() })
	if len(s.sinks) == 0 || !logged {
		j.notJudged(Resumable, "the order of writing is not known")
		return
	}
	for _, c := range j.run.Changes {
		if j.within(c.OpTime.TS) && !gaps.excused(j.run.Lost, c.OpTime.TS) {
			s.changes = append(s.changes, c)
		}
	}
	for _, w := range j.run.Writes {
		s.replay(w)
	}
}

func (s *stored) replay(w ledger.Write) {
	switch {
	case w.Sink == ledger.Checkpoints:
		s.checkpoint(w)
	case w.Sink == ledger.Catalog && w.Action == ledger.Insert && !w.Listed:
		s.version(w)
	case s.documents[w.Sink] == nil:
	case w.Action == ledger.Drop:
		s.documents[w.Sink], s.dropped[w.Sink] = map[string]bool{}, w.Written
	case w.Action == ledger.Process:
		s.documents[w.Sink][w.ID] = true
	case w.Action == ledger.Remove:
		s.removed(w)
	case w.Action == ledger.Insert:
		if _, again := s.documents[w.Sink][w.ID]; !again {
			s.documents[w.Sink][w.ID] = false
		}
		if w.Sink == ledger.Queue {
			s.queued(w)
		}
	}
}

// missing returns the first of the sinks that lacks a change; empty if none does.
func (s *stored) missing(c ledger.Change, sinks ...string) string {
	for _, sink := range sinks {
		_, ok := s.documents[sink][c.ID(s.run.Source)]
		if !ok && s.documents[sink] != nil && !c.OpTime.TS.Before(s.dropped[sink]) {
			return sink
		}
	}
	return ""
}

// checkpoint handles a stored position, or the loss of the checkpoint.
func (s *stored) checkpoint(w ledger.Write) {
	if w.Action == ledger.Drop || w.Action == ledger.Remove {
		s.position = bson.Timestamp{}
		return
	}
	if w.Action != ledger.Advance || w.ID != s.checkpointID() {
		return
	}
	at := w.Position.TS
	if at.Before(s.position) && s.run.Lost != ledger.Replaced {
		s.violated(Resumable, "", "the checkpoint moved back from %v to %v", s.position, at)
	}
	s.position = at
	for ; s.passed < len(s.changes); s.passed++ {
		c := s.changes[s.passed]
		if c.OpTime.TS.After(at) || w.Inclusive && c.OpTime.TS.Equal(at) {
			return
		}
		if sink := s.missing(c, s.sinks...); sink != "" {
			s.violated(Resumable, sink, "passed by the checkpoint before it was written: %s %s", c.ID(s.run.Source), c.Effect)
		}
	}
}

// checkpointID returns the _id of the checkpoint of the NAME that writes the queue.
func (s *stored) checkpointID() string { return s.run.Source + ":default" }

// version handles a new version of the catalog, from which a lost checkpoint would be
// derived.
func (s *stored) version(w ledger.Write) {
	if s.shared {
		return
	}
	for _, c := range s.at(w.Position.TS) {
		if sink := s.missing(c, s.sinks...); sink != "" {
			s.violated(Resumable, sink, "in the catalog before it was written: %s %s", c.ID(s.run.Source), c.Effect)
		}
	}
}

// at returns the changes of a timestamp.
func (s *stored) at(ts bson.Timestamp) []ledger.Change {
	first, _ := slices.BinarySearchFunc(s.changes, ts, func(c ledger.Change, ts bson.Timestamp) int { return c.OpTime.TS.Compare(ts) })
	last := first
	for last < len(s.changes) && s.changes[last].OpTime.TS.Equal(ts) {
		last++
	}
	return s.changes[first:last]
}

// queued handles a notification that consumers can see from now on: the history must have
// it.
func (s *stored) queued(w ledger.Write) {
	if w.Document == nil {
		return
	}
	d, err := ledger.Decode(w.Document)
	if err != nil || !d.FromOplog() {
		return
	}
	for _, c := range s.at(d.OpTime.TS) {
		if c.ID(s.run.Source) == w.ID && s.missing(c, ledger.History) != "" {
			s.violated(Resumable, ledger.Queue, "in the queue before it was in the history: %s %s", w.ID, c.Effect)
		}
	}
}

// removed handles a notification that cleanup removed.
func (s *stored) removed(w ledger.Write) {
	processed, known := s.documents[w.Sink][w.ID]
	at := receipt{Document: ledger.Document{ID: w.ID}}.at(s.run.Source)
	if w.Sink != ledger.Queue || !known || at.IsZero() {
		return
	}
	if !processed {
		s.violated(Resumable, w.Sink, "removed but not processed: %s", w.ID)
	}
	if at.After(s.position) {
		s.violated(Resumable, w.Sink, "removed before the checkpoint had passed it: %s", w.ID)
	}
}
