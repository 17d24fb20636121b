package listen

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// checkPace checks the time that messages took. The rate applies to when a message is begun, before its notifications are
// claimed: single messages can come closer together.
func (s scene) checkPace(name string, all []message, interval time.Duration) {
	s.Helper()
	if took, least := all[len(all)-1].at.Sub(all[0].at), time.Duration(len(all)-2)*interval; took < least {
		s.Errorf("%s: %d messages within %s, want at least %s", name, len(all), took, least)
	}
}

// TestRate sends single notifications, and the parts of a digest of which one notification is
// rejected, no faster than the receiver's rate.
func TestRate(t *testing.T) {
	t.Parallel()
	s := newScene(t, "rate_db")
	single, digest := newTarget(t), newTarget(t)
	digest.setAnswer(func(m message) int {
		if slices.ContainsFunc(m.notifications, func(n notification) bool { return n.Number == 3 }) {
			return http.StatusGone
		}
		return http.StatusOK
	})
	s.listenTo(s.receiversFile("name: single, rate: 4/s, url: "+single.URL, "name: digest, digest: 1s, rate: 4/s, url: "+digest.URL))
	s.numbered(0, 10)
	s.eventually("all have ended", s.done)
	s.checkPace("single", single.got(), time.Second/4)
	s.checkPace("digest", digest.got(), time.Second/4)
	if len(single.got()) != 10 || len(digest.taken()) != 9 || slices.Contains(digest.taken(), 3) {
		t.Errorf("single has got %d messages, digest has taken %v", len(single.got()), digest.taken())
	}
	if n := s.count(bson.M{"_id": 3, "deliveries.digest.state": "rejected", "error": bson.M{"$regex": "^digest: .*410"}}); n != 1 {
		t.Error("the rejected notification is not marked as such")
	}
	t.Logf("the digest was sent in %d messages", len(digest.got()))
}

// TestRefusedDigest answers 400 to each message with one of the notifications, before the receiver
// has accepted any. The others must be delivered, without marking anything wrongly.
func TestRefusedDigest(t *testing.T) {
	if !full() {
		t.Skip("takes two minutes: only with DDLTAIL_FAULTS=full")
	}
	t.Parallel()
	s := newScene(t, "refused_db")
	chat := newTarget(t)
	chat.setAnswer(func(m message) int {
		if slices.ContainsFunc(m.notifications, func(n notification) bool { return n.Number == 0 }) {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	p := s.listenTo(s.receiversFile("name: chat, digest: 1s, url: " + chat.URL))
	s.numbered(0, 5)
	s.eventually("the message is refused", func() bool { return len(chat.got()) > 0 })
	s.expectMetric(p, `ddltail_delivery_misconfigured{receiver="chat"}`, 1)
	s.patiently(s.done)
	if n := s.count(bson.M{"deliveries.chat.state": "rejected"}); n != 1 || len(chat.taken()) != 4 {
		t.Errorf("%d are rejected, %v are taken", n, chat.taken())
	}
}

// TestMisconfiguredBeside has a receiver whose URL is wrong beside one that accepts everything. The
// first delays nothing, and gets what it missed when SIGHUP reads the right URL.
func TestMisconfiguredBeside(t *testing.T) {
	t.Parallel()
	s := newScene(t, "beside_db")
	good, bad := newTarget(t), newTarget(t)
	bad.setAnswer(func(message) int { return http.StatusNotFound })
	right := newTarget(t)
	path := s.receiversFile("name: good, url: "+good.URL, "name: bad, url: "+bad.URL)
	p := s.listenTo(path)
	s.numbered(0, 20)
	s.eventually("the good one has got all", func() bool { return len(good.taken()) == 20 })
	s.eventually("the bad one is reported", func() bool {
		code, body, err := p.Get(t.Context(), "/readyz")
		return err == nil && code == 503 && strings.Contains(body, "receiver bad: ") && !strings.Contains(body, "receiver good")
	})
	s.expectMetric(p, `ddltail_delivery_misconfigured{receiver="bad"}`, 1)
	s.expectMetric(p, `ddltail_delivery_misconfigured{receiver="good"}`, 0)
	if n := s.count(bson.M{"processed": true}); n != 0 {
		t.Errorf("%d are processed, although one receiver has got none", n)
	}
	before, err := p.Metric(t.Context(), `ddltail_receiver_oldest_pending_seconds{receiver="bad"}`)
	s.must(err)
	time.Sleep(time.Second)
	after, err := p.Metric(t.Context(), `ddltail_receiver_oldest_pending_seconds{receiver="bad"}`)
	s.must(err)
	if after-before < 0.9 {
		t.Errorf("within a second, the age of the oldest pending one grew from %f to %f", before, after)
	}
	s.writeReceivers(path, "name: good, url: "+good.URL, "name: bad, url: "+right.URL)
	began := time.Now()
	s.hangup(p, func() bool { return len(right.taken()) == 20 })
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the notifications came %s after SIGHUP", took)
	}
	s.eventually("all have ended", s.done)
}

// TestStdoutBeside prints each notification, and sends it to the receivers of a file.
func TestStdoutBeside(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stdout_beside_db")
	g := newTarget(t)
	p := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_RECEIVERS_FILE="+s.receiversFile("name: team, url: "+g.URL), "DDLTAIL_BACKEND_URL="+s.backend.URL)
	s.must(p.WaitReady(t.Context()))
	s.numbered(0, 10)
	s.eventually("all have ended", s.done)
	if lines := strings.Count(p.Stdout(), "\n"); lines != 10 || len(g.taken()) != 10 || len(s.backend.got()) != 0 {
		t.Errorf("%d lines, the receiver has taken %v, the backend has got %d", lines, g.taken(), len(s.backend.got()))
	}
	if n := s.count(bson.M{"deliveries.stdout.state": "delivered", "deliveries.team.state": "delivered"}); n != 10 {
		t.Errorf("%d were delivered to both", n)
	}
}

// TestSecretReread signs with the secret that its file has after SIGHUP.
func TestSecretReread(t *testing.T) {
	t.Parallel()
	s := newScene(t, "secret_db")
	file := filepath.Join(t.TempDir(), "secret")
	secrets := []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
	s.must(os.WriteFile(file, []byte(secrets[0]), 0o600))
	p := s.listen("DDLTAIL_WEBHOOK_SECRET_FILE=" + file)
	signedBy := func(i int) bool {
		all := s.backend.got()
		verifier, err := standardwebhooks.NewWebhook(secrets[i])
		s.must(err)
		return len(all) > 0 && verifier.Verify(all[len(all)-1].raw, all[len(all)-1].header) == nil
	}
	s.numbered(0, 1)
	s.eventually("the first is signed", func() bool { return signedBy(0) })
	s.must(os.WriteFile(file, []byte(secrets[1]), 0o600))
	next := 1
	s.hangup(p, func() bool {
		s.numbered(next, next+1)
		next++
		s.eventually("it is delivered", func() bool { return len(s.backend.got()) == next })
		return signedBy(1)
	})
	s.must(os.WriteFile(file, []byte("no secret"), 0o600))
	s.hangup(p, func() bool { return strings.Contains(p.Stderr(), "the receivers cannot be read") })
	s.numbered(next, next+1)
	s.eventually("the last valid secret is used", func() bool { return len(s.backend.got()) == next+1 && signedBy(1) })
}
