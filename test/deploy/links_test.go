package deploytest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence    = regexp.MustCompile("(?ms)^[ ]*```.*?^[ ]*```")
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	explicit = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	unslug   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// TestDocLinks checks that each relative link in the documentation leads to a file, and its anchor to a heading of that file.
func TestDocLinks(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "deploy/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	checked := 0
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(prose(t, page), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			checked++
			checkLink(t, page, m[1])
		}
	}
	if checked == 0 {
		t.Fatal("no relative link found: does the pattern still match?")
	}
}

func checkLink(t *testing.T, page, target string) {
	t.Helper()
	path, anchor, _ := strings.Cut(target, "#")
	file := page
	if path != "" {
		file = filepath.Join(filepath.Dir(page), path)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s: link %s: %v", page, target, err)
		return
	}
	if anchor != "" && strings.HasSuffix(file, ".md") && !anchors(prose(t, file))[anchor] {
		t.Errorf("%s: link %s: no such heading", page, target)
	}
}

// prose returns a page without its code blocks.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(text), "")
}

// anchors returns the anchors of a page's headings, as GitHub forms them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range explicit.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := linkText.ReplaceAllString(m[1], "$1")
		name = strings.ToLower(unslug.ReplaceAllString(name, ""))
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}
