// Command vulncheck runs govulncheck on a module against a pinned version of the
// Go vulnerability database and compares the findings with a list of accepted ones.
//
// The database is the Go module golang.org/x/vulndb, so a module proxy is all the
// network it needs. govulncheck reads that module's folder of OSV files as it is.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The database. To move to a newer one: go list -m golang.org/x/vulndb@latest,
// then run with the old sum; the error names the new one.
const (
	database    = "golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018"
	databaseSum = "h1:mfngRv0Yoh0VApsXKEN82CjD99kl7mtparN3bs3JnqI="
)

func main() {
	govulncheck := flag.String("govulncheck", "bin/govulncheck", "the govulncheck to run")
	accepted := flag.String("accepted", "tools/vulncheck/accepted.txt", "findings to accept, one a line: ID and reason")
	flag.Parse()
	if err := run(context.Background(), *govulncheck, *accepted); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, govulncheck, accepted string) error {
	dir, err := download(ctx)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(accepted)
	if err != nil {
		return err
	}
	list, err := parseAccepted(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", accepted, err)
	}
	cmd := exec.CommandContext(ctx, govulncheck, "-format", "json", "-test", "-db", "file://"+filepath.ToSlash(dir), "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("run %s: %w", govulncheck, err)
	}
	found, err := parseFindings(strings.NewReader(string(out)))
	if err != nil {
		return fmt.Errorf("read the output of %s: %w", govulncheck, err)
	}
	return errors.Join(compare(found, list)...)
}

// download fetches the database and returns its folder of OSV files. The sum is
// compared here, so that no checksum database is needed.
func download(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", database)
	cmd.Env = append(os.Environ(), "GONOSUMDB=golang.org/x/vulndb")
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &module); jsonErr != nil {
		return "", fmt.Errorf("download %s: %w", database, errors.Join(err, jsonErr))
	}
	if module.Error != "" {
		return "", fmt.Errorf("download %s: %s", database, module.Error)
	}
	if module.Sum != databaseSum {
		return "", fmt.Errorf("download %s: sum is %s, want %s", database, module.Sum, databaseSum)
	}
	return filepath.Join(module.Dir, "data", "osv"), nil
}

// parseAccepted returns the reason of each accepted finding by its ID.
func parseAccepted(text string) (map[string]string, error) {
	list := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s has no reason; write one after the ID", id)
		}
		list[id] = strings.TrimSpace(reason)
	}
	return list, nil
}

// A finding is a vulnerability whose code can be reached from this module.
type finding struct {
	OSV          string `json:"osv"`
	FixedVersion string `json:"fixed_version"`
	Trace        []struct {
		Module, Version, Package, Function string
	} `json:"trace"`
}

func parseFindings(r io.Reader) (map[string]finding, error) {
	found := map[string]finding{}
	decoder := json.NewDecoder(bufio.NewReader(r))
	for {
		var message struct{ Finding *finding }
		if err := decoder.Decode(&message); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		// Findings without a function only say that a module is required or a package imported.
		if f := message.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Function != "" {
			found[f.OSV] = *f
		}
	}
}

// compare returns an error for each finding that is not accepted, or could be fixed,
// and for each accepted one that does not occur.
func compare(found map[string]finding, accepted map[string]string) []error {
	var problems []error
	for id, f := range found {
		place := fmt.Sprintf("%s: %s.%s of %s@%s is vulnerable and in use", id, f.Trace[0].Package, f.Trace[0].Function,
			f.Trace[0].Module, f.Trace[0].Version)
		_, listed := accepted[id]
		switch {
		case f.FixedVersion != "":
			problems = append(problems, fmt.Errorf("%s; upgrade to %s", place, f.FixedVersion))
		case !listed:
			problems = append(problems, fmt.Errorf("%s; no release fixes it: avoid the function, or accept it with a reason", place))
		}
	}
	for id := range accepted {
		if _, occurs := found[id]; !occurs {
			problems = append(problems, fmt.Errorf("%s is accepted but does not occur; remove it from the list", id))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}
