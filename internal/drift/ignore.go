package drift

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Ignored is one line of a file of accepted differences.
type Ignored struct {
	// Pattern is an ID, or a glob on IDs: unexpected:shop.*:debug_*.
	Pattern string
	Reason  string
}

// Ignore is a list of accepted differences.
type Ignore []Ignored

// ReadIgnore reads a file of lines "PATTERN # REASON". Every line needs a reason. Empty lines and
// lines that begin with # are comments.
func ReadIgnore(file string) (Ignore, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the accepted differences: %w", err)
	}
	defer f.Close()
	list, err := parseIgnore(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func parseIgnore(r io.Reader) (Ignore, error) {
	var out Ignore
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, reason, _ := strings.Cut(line, " #")
		one := Ignored{Pattern: strings.TrimSpace(pattern), Reason: strings.TrimSpace(reason)}
		if err := one.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, one)
	}
	return out, lines.Err()
}

func (i Ignored) check() error {
	if i.Reason == "" {
		return errors.New("expected a reason: PATTERN # REASON")
	}
	if _, err := path.Match(i.Pattern, ""); err != nil {
		return fmt.Errorf("the pattern %q: %w", i.Pattern, err)
	}
	return i.checkKind()
}

func (i Ignored) checkKind() error {
	kind, rest, ok := strings.Cut(i.Pattern, ":")
	if !ok || rest == "" {
		return errors.New("expected KIND:DATABASE.COLLECTION or KIND:DATABASE.COLLECTION:INDEX")
	}
	for _, k := range Kinds() {
		if match, _ := path.Match(kind, string(k)); match {
			return nil
		}
	}
	return fmt.Errorf("%q is not a kind of difference; expected missing, unexpected or different", kind)
}

// Split separates the differences that are accepted from the others.
func (list Ignore) Split(all []Difference) (open, accepted []Difference) {
	for _, d := range all {
		if list.accepts(d) {
			accepted = append(accepted, d)
		} else {
			open = append(open, d)
		}
	}
	return open, accepted
}

func (list Ignore) accepts(d Difference) bool {
	id := d.ID()
	for _, i := range list {
		if i.Pattern == id {
			return true
		}
		// A name may contain a slash, which a glob does not match.
		if ok, _ := path.Match(strings.ReplaceAll(i.Pattern, "/", "\x00"), strings.ReplaceAll(id, "/", "\x00")); ok {
			return true
		}
	}
	return false
}

// Accept appends differences to a file, which is created if it does not exist.
func Accept(file string, ids []string, reason string) error {
	var text strings.Builder
	for _, id := range ids {
		one := Ignored{Pattern: escapeGlob(id), Reason: strings.TrimSpace(reason)}
		if err := one.check(); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
		line := one.Pattern + " # " + one.Reason + "\n"
		// A line break, " #" or a space at the end of a name would read as something else.
		if read, err := parseIgnore(strings.NewReader(line)); err != nil || !slices.Equal(read, Ignore{one}) {
			return fmt.Errorf("%q, with its reason, cannot be written as one line; accept it with a glob", id)
		}
		text.WriteString(line)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("write the accepted differences: %w", err)
	}
	if err := appendLines(f, text.String()); err != nil {
		return errors.Join(fmt.Errorf("write the accepted differences: %w", err), f.Close())
	}
	return f.Close()
}

// appendLines appends lines to a file, whose last line may lack its line break.
func appendLines(f *os.File, lines string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			lines = "\n" + lines
		}
	}
	_, err = f.WriteString(lines)
	return err
}

// escapeGlob returns a glob that matches only this ID.
func escapeGlob(id string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(id)
}
