package deploytest

import (
	"strings"
	"testing"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// TestManualHalf runs notify, listen and cleanup as the user that create-user.js creates for them.
func TestManualHalf(t *testing.T) {
	t.Parallel()
	out, code := createUser(t, secured.URI(), "DDLTAIL_USER=byhand", "DDLTAIL_DATABASE=byhand", "DDLTAIL_PASSWORD="+password, "DDLTAIL_ROLE=listen")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	variables := []string{"DDLTAIL_MONGODB_URI=" + secured.URIOf("byhand", password, ""), "DDLTAIL_DATABASE=byhand"}
	launch := func(args ...string) *ddltailtest.Process {
		p, err := ddltailtest.Start(ddltail(t), args, variables...)
		ok(t, err)
		t.Cleanup(func() { ok(t, p.Close()) })
		return p
	}
	for _, args := range [][]string{{"setup"}, {"notify", "CREATE_COLLECTION", "payments"}, {"cleanup", "--dry-run"}, {"cleanup"}} {
		p := launch(args...)
		if code, err := p.Wait(bounded(t)); err != nil || code != 0 {
			t.Errorf("%q: exit %d, %v: %s", args, code, err, p.Stderr())
		}
	}
	p := launch("listen", "--stdout")
	eventually(t, "the notification", func() bool { return strings.Contains(p.Stdout(), "CREATE COLLECTION payments") })
	eventually(t, "the change stream", func() bool {
		v, err := p.Metric(t.Context(), `ddltail_listen_mode{mode="change_stream"}`)
		return err == nil && v == 1
	})
	eventually(t, "the clean-up", func() bool { return strings.Contains(p.Stderr(), `"removed old notifications"`) })
	hidden(t, "the log", p.Stderr())
}
