package faults

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// TestUpgradeAndRollback alternates between the last release and this one on one database, with kill -9 in between,
// under DDL.
func TestUpgradeAndRollback(t *testing.T) {
	old := ddltailtest.BuildRelease(t, ddltailtest.LastRelease)
	s := newScene(t)
	p := s.runRelease(old)
	s.ready(p)
	s.startLoad()
	for i := range 4 * times() {
		s.while(300, 1200)
		s.kill(p)
		if i%2 == 0 {
			p = s.run()
		} else {
			p = s.runRelease(old)
		}
		s.ready(p)
	}
	s.check()
}

// TestReleasesShareAFile checks that the last release and this one lock each other out of the file
// of a sink.
func TestReleasesShareAFile(t *testing.T) {
	old := ddltailtest.BuildRelease(t, ddltailtest.LastRelease)
	s := newScene(t)
	file := filepath.Join(t.TempDir(), "changes.ndjson")
	for _, pair := range [][2]string{{old, binary}, {binary, old}} {
		sinks := "DDLTAIL_SINKS=file:" + file
		first := s.runRelease(pair[0], sinks, "DDLTAIL_NAME=first")
		s.ready(first)
		second := s.runRelease(pair[1], sinks, "DDLTAIL_NAME=second")
		s.refused(second, file)
		s.stop(first)
	}
}

// refused waits for a process that ends with exit code 2 and names what it refuses.
func (s *scene) refused(p *ddltailtest.Process, name string) {
	s.Helper()
	code, err := p.Wait(s.Context())
	s.must(err)
	if text := p.Stderr(); code != 2 || !strings.Contains(text, name) {
		s.Errorf("exit code %d, want 2 with an error about %s:\n%s", code, name, last(text))
	}
	s.forget(p)
	s.must(p.Close())
}
