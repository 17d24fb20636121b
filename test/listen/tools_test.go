package listen

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ddltail/ddltail/test/fetch"
)

// root is the path of the repository's root from this package.
const root = "../.."

// tool is a program with its environment and its input.
type tool struct {
	args  []string
	env   []string
	dir   string
	stdin string
}

// run runs a tool, which must succeed, and returns its output.
func (s scene) run(x tool) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), x.args[0], x.args[1:]...)
	cmd.Env = append(os.Environ(), x.env...)
	cmd.Dir = x.dir
	cmd.Stdin = strings.NewReader(x.stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("%q: %v\n%s", x.args, err, out)
	}
	return string(out)
}

// script returns the path that a script which fetches something prints.
func (s scene) script(name string) string {
	s.Helper()
	path, err := fetch.Path(s.Context(), name)
	s.must(err)
	return path
}

// mongosh runs the shell on the scene's database, with a temporary home folder.
func (s scene) mongosh(stdin string, args ...string) string {
	s.Helper()
	return s.mongoshAt(s.TempDir(), stdin, args...)
}

func (s scene) mongoshAt(home, stdin string, args ...string) string {
	s.Helper()
	config := filepath.Join(home, ".mongodb", "mongosh")
	s.must(os.MkdirAll(config, 0o700))
	s.must(os.WriteFile(filepath.Join(config, "config"), []byte(`{"enableTelemetry": false}`), 0o600))
	out := s.run(tool{
		args: append([]string{s.script("mongosh.sh"), s.uri, "--quiet"}, args...), env: []string{"HOME=" + home}, stdin: stdin,
	})
	if strings.Contains(out, "Error") {
		s.Errorf("mongosh %q: %s", args, out)
	}
	return out
}

// file returns the absolute path of a file in docs.
func (s scene) file(name string) string {
	s.Helper()
	path, err := filepath.Abs(filepath.Join(root, "docs", name))
	s.must(err)
	return path
}

// example returns the code block of docs/manual-notifications.md that contains a text.
func (s scene) example(holds string) string {
	s.Helper()
	for _, path := range []string{s.file("manual-notifications.md")} {
		text, err := os.ReadFile(path)
		s.must(err)
		for _, block := range regexp.MustCompile("(?s)\n```[a-z]+\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(block[1], holds) {
				return block[1]
			}
		}
	}
	s.Fatalf("no example contains %q", holds)
	return ""
}
