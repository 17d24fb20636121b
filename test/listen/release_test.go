package listen

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// TestLastRelease runs a listener of the last release and one of this release on one queue.
// The old one knows only the backend, and marks notifications as processed that another
// receiver has not got yet: these must not be lost, and the backend must get nothing twice.
func TestLastRelease(t *testing.T) {
	t.Parallel()
	old := ddltailtest.BuildRelease(t, ddltailtest.LastRelease)
	s := newScene(t, "release_db")
	chat, down := newTarget(t), newTarget(t)
	down.setAnswer(func(message) int { return 503 })
	s.listenTo(s.receiversFile("name: chat, url: "+chat.URL, "name: down, url: "+down.URL), "DDLTAIL_BACKEND_URL="+s.backend.URL+"/hook")
	p, err := ddltailtest.Start(old, []string{"listen"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_BACKEND_URL="+s.backend.URL+"/hook")
	s.must(err)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	s.must(p.WaitReady(t.Context()))
	const notifications = 100
	s.numbered(0, notifications)
	s.eventually("the backend has got all", func() bool { return len(s.backend.got()) >= notifications })
	s.eventually("chat has got all", func() bool { return len(chat.taken()) >= notifications })
	if n := s.count(bson.M{"processed": true, "deliveries.backend": bson.M{"$exists": true}}); n != 0 {
		t.Errorf("%d are marked as processed by this release, although one receiver is down", n)
	}
	down.setAnswer(nil)
	s.eventually("the one that was down has got all", func() bool { return len(down.taken()) >= notifications && s.done() })
	for name, g := range map[string]*target{"chat": chat, "down": down} {
		if again := s.checkTaken(name, g, func(int) bool { return true }, notifications); again != 0 {
			t.Errorf("%s got %d twice", name, again)
		}
	}
	if n := len(s.backend.got()); n != notifications {
		t.Errorf("the backend has got %d, want %d", n, notifications)
	}
	byOld, err := p.Metric(t.Context(), `ddltail_deliveries_total{result="delivered"}`)
	s.must(err)
	if byOld == 0 {
		t.Error("the last release has delivered none: nothing was tested")
	}
	t.Logf("%.0f were delivered by the last release", byOld)
}
