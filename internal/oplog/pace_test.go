package oplog

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	text, err := os.ReadFile("testdata/pace.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, paragraph := range strings.Split(string(text), "\n\n")[1:] {
		lines := strings.Split(strings.TrimSpace(paragraph), "\n")
		t.Run(strings.TrimPrefix(lines[0], "# "), func(t *testing.T) {
			if got, want := replay(t, lines[1:len(lines)-1]), strings.TrimPrefix(lines[len(lines)-1], "=> "); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// replay returns the reading after those of a case.
func replay(t *testing.T, lines []string) string {
	target, err := time.ParseDuration(strings.TrimPrefix(lines[0], "target "))
	if err != nil {
		t.Fatal(err)
	}
	p := pace{target: target}
	for _, line := range lines[1:] {
		r, times := parseReading(t, line)
		for range times {
			p = p.after(r)
		}
	}
	next := p.next()
	if next.pause == 0 {
		return fmt.Sprintf("wait %s", next.wait)
	}
	return fmt.Sprintf("pause %s, wait %s", next.pause, next.wait)
}

func parseReading(t *testing.T, line string) (r reading, times int) {
	line, count, repeated := strings.Cut(line, " x ")
	times = 1
	if repeated {
		if _, err := fmt.Sscan(count, &times); err != nil {
			t.Fatal(err)
		}
	}
	line, _, _ = strings.Cut(line, " match")
	var took string
	n, err := fmt.Sscanf(line, "%s %d:%d %d:%d %d", &took, &r.from.T, &r.from.I, &r.to.T, &r.to.I, &r.matches)
	if n < 5 {
		t.Fatalf("%q: %v", line, err)
	}
	if r.took, err = time.ParseDuration(took); err != nil {
		t.Fatal(err)
	}
	return r, times
}

// TestPausesAreBoundedByTheTarget tries targets from nothing to the longest.
func TestPausesAreBoundedByTheTarget(t *testing.T) {
	for _, target := range []time.Duration{0, time.Nanosecond, time.Millisecond, 50 * time.Millisecond, 5 * time.Second} {
		r := reading{took: 700 * time.Millisecond}
		r.from.T, r.to.T, r.to.I = 10, 10, 4_000_000_000
		p := pace{target: target}.after(r)
		if got := p.next().pause; got > target {
			t.Errorf("target %s: a pause of %s", target, got)
		}
	}
}
