package listener

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
)

// TestAnswers judges answers in turn. A line is the notification, the answer, when, and what
// it must be judged as; then how many attempts may run.
func TestAnswers(t *testing.T) {
	verdicts := map[string]delivery.Verdict{
		"2xx": delivery.Delivered, "400": delivery.Refused, "404": delivery.Misconfigured, "410": delivery.Rejected, "500": delivery.Retry,
	}
	for name, script := range map[string]string{
		"400 before the first 2xx": `
			a 400 0s misconfigured 0
			b 400 1m misconfigured 0
			a 2xx 2m delivered 32
			b 400 2m rejected 32`,
		"400 after a 2xx": `
			x 2xx 0s delivered 32
			a 400 0s rejected 32
			b 400 0s rejected 32
			x 2xx 0s delivered 32
			a 400 0s rejected 32
			b 400 0s rejected 32
			c 400 0s rejected 32
			d 400 0s rejected 32
			e 400 0s misconfigured 0
			a 400 1m misconfigured 0
			e 2xx 2m delivered 32`,
		"one notification many times": `
			x 2xx 0s delivered 32
			a 400 0s rejected 32
			a 400 0s rejected 32
			a 400 0s rejected 32
			a 400 0s rejected 32
			a 400 0s rejected 32`,
		"404 of one collection": `
			x 2xx 0s delivered 32
			a 404 0s misconfigured 32
			a 404 1m misconfigured 32`,
		"404 to everything": `
			a 404 0s misconfigured 0
			b 404 1m misconfigured 0
			c 2xx 2m delivered 32`,
		"neither 410 nor 500 is a misconfiguration": `
			a 410 0s rejected 4
			b 500 0s retry 4
			c 2xx 0s delivered 32`,
		"500 does not end one": `
			a 400 0s misconfigured 0
			b 500 1m retry 1
			c 400 2m misconfigured 0`,
		"400 for a day": `
			a 400 0s misconfigured 0
			a 400 23h misconfigured 0
			a 400 24h rejected 1
			young 400 24h misconfigured 0
			b 400 25h rejected 1`,
		"404 for a day, then 400": `
			a 404 0s misconfigured 0
			a 404 24h misconfigured 0
			a 400 24h misconfigured 0`,
	} {
		a := &answers{}
		for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
			words := strings.Fields(line)
			after, err := time.ParseDuration(words[2])
			if err != nil {
				t.Fatal(err)
			}
			now, written := noon.Add(after), noon.Add(-time.Hour)
			if words[0] == "young" {
				written = now
			}
			o := a.judge(words[0], written, delivery.Outcome{Verdict: verdicts[words[1]], Reason: words[1]}, now)
			limit, _ := a.workers(now)
			if got := fmt.Sprint(o.Verdict, " ", limit); got != strings.Join(words[3:], " ") {
				t.Errorf("%s: %s: got %s", name, strings.TrimSpace(line), got)
			}
			if bad := o.Verdict == delivery.Misconfigured; bad && a.problem(now) == nil || words[1] == "2xx" && a.problem(now) != nil {
				t.Errorf("%s: %s: problem %v", name, strings.TrimSpace(line), a.problem(now))
			}
		}
	}
}

func TestAnswersEachMinute(t *testing.T) {
	a := &answers{}
	a.judge("a", noon, delivery.Outcome{Verdict: delivery.Misconfigured, Reason: "404"}, noon)
	if limit, next := a.workers(noon.Add(time.Second)); limit != 0 || !next.Equal(noon.Add(time.Minute)) {
		t.Errorf("%d until %s", limit, next)
	}
	if limit, _ := a.workers(noon.Add(time.Minute)); limit != 1 {
		t.Errorf("%d after a minute", limit)
	}
}
