package snapshot

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

func TestSubjectOf(t *testing.T) {
	text, err := os.ReadFile("testdata/subjects.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		given, want, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		err := errors.New("connection reset by peer")
		if words := strings.Fields(given); len(words) > 1 {
			code, parseErr := strconv.ParseInt(words[0], 10, 32)
			if parseErr != nil {
				t.Fatal(parseErr)
			}
			err = mongo.CommandError{Code: int32(code), Name: words[1], Labels: words[2:]}
		}
		if got := SubjectOf(fmt.Errorf("list: %w", err)); got != Subject(want) {
			t.Errorf("%s => %s, want %s", given, got, want)
		}
	}
}

func TestConnectionErrorsAreDistinct(t *testing.T) {
	seen := map[int]string{}
	for _, row := range connectionErrors() {
		if row.name == "" || row.reason == "" || seen[row.code] != "" {
			t.Errorf("%+v, and %q", row, seen[row.code])
		}
		seen[row.code] = row.name
	}
}

func TestReasonOf(t *testing.T) {
	err := fmt.Errorf("list: %w", mongo.CommandError{Name: "BadValue", Message: "two\nlines " + strings.Repeat("é", maxReason)})
	if got := reasonOf(err); strings.Contains(got, "\n") || !strings.HasPrefix(got, "(BadValue) two lines é") || len([]rune(got)) != maxReason+1 {
		t.Errorf("got %q", got)
	}
}
