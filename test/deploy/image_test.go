package deploytest

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const (
	builtVersion = "1.2.3-test"
	builtCommit  = "0123456789abcdef"
)

// built is the binary of the image, built once for all tests by the command in the
// Dockerfile.
var built struct {
	dir    string
	once   sync.Once
	binary string
	err    error
}

func ddltail(t *testing.T) string {
	t.Helper()
	built.once.Do(func() { built.binary, built.err = build(built.dir) })
	ok(t, built.err)
	return built.binary
}

// build runs the first stage of the Dockerfile in a folder.
func build(dir string) (string, error) {
	file, err := readDockerfile()
	if err != nil {
		return "", err
	}
	if err := copyContext(dir); err != nil {
		return "", fmt.Errorf("copy the build context: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", file.compile)
	cmd.Dir = dir
	cmd.Env = append(bareEnvironment(), "VERSION="+builtVersion, "COMMIT="+builtCommit)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", file.compile, err, out)
	}
	inside, err := filepath.Rel(file.one(`WORKDIR (\S+)`), file.one(`COPY --from=build (\S+) \S+`))
	return filepath.Join(dir, inside), err
}

// copyContext copies the files that .dockerignore includes: it excludes everything, then includes folders and
// files.
func copyContext(dir string) error {
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "\n*\n") {
		return fmt.Errorf(".dockerignore does not begin by leaving out everything")
	}
	for _, m := range regexp.MustCompile(`(?m)^!(\S+)$`).FindAllStringSubmatch(string(text), -1) {
		from, to := filepath.Join(root, m[1]), filepath.Join(dir, m[1])
		if info, err := os.Stat(from); err != nil {
			return err
		} else if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
			if err != nil {
				return err
			}
			continue
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// dockerfile is the text with one instruction per line, and the command that compiles.
type dockerfile struct{ text, compile string }

func readDockerfile() (dockerfile, error) {
	text, err := os.ReadFile(filepath.Join(deploy, "Dockerfile"))
	if err != nil {
		return dockerfile{}, err
	}
	f := dockerfile{text: regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), "")}
	f.compile = f.one(`RUN (.*go build.*)`)
	return f, nil
}

// one returns the group of the only line that matches a pattern; empty if there is not
// exactly one.
func (f dockerfile) one(form string) string {
	found := regexp.MustCompile(`(?m)^`+form+`$`).FindAllStringSubmatch(f.text, -1)
	if len(found) != 1 {
		return ""
	}
	return found[0][1]
}

func TestImage(t *testing.T) {
	file, err := readDockerfile()
	ok(t, err)
	stages := regexp.MustCompile(`\nFROM gcr\.io/distroless/static-debian12:nonroot(?:@sha256:[0-9a-f]{64})?\n`).Split(file.text, -1)
	if len(stages) != 2 {
		t.Fatal("the last stage is not distroless")
	}
	last := stages[1]
	if strings.Contains(last, "RUN") {
		t.Error("the last stage has no shell to RUN anything")
	}
	if user := file.one(`USER (\d+:\d+)`); user == "" || strings.HasPrefix(user, "0:") {
		t.Error("the user is not a number other than root's")
	}
	if entry, to := file.one(`ENTRYPOINT \["(.*)"\]`), file.one(`COPY --from=build \S+ (\S+)`); entry != to || !path.IsAbs(entry) {
		t.Errorf("the entrypoint is %q, the binary is at %q", entry, to)
	}
	for _, label := range []string{"version", "revision", "source", "licenses"} {
		if !strings.Contains(last, "org.opencontainers.image."+label+`="`) {
			t.Errorf("the image has no label %s", label)
		}
	}
	checkModuleVersion(t, file)
}

// checkModuleVersion compares the Go version of the image with that in go.mod.
func checkModuleVersion(t *testing.T, file dockerfile) {
	t.Helper()
	image := file.one(`FROM --platform=\$BUILDPLATFORM golang:(\d+\.\d+)-\S+ AS build`)
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, filepath.Join(root, "go.mod")))
	if len(module) != 2 || image != module[1] {
		t.Errorf("the image compiles with Go %q, go.mod requires %q", image, module)
	}
}

func TestImageBinary(t *testing.T) {
	binary := ddltail(t)
	file, err := elf.Open(binary)
	ok(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("not static: it has a segment %s", p.Type)
		}
	}
	info, err := buildinfo.ReadFile(binary)
	ok(t, err)
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("built with %v", settings)
	}
	out, code := program{args: []string{binary, "version"}}.run(t)
	if code != 0 || !strings.Contains(out, builtVersion) || !strings.Contains(out, builtCommit) {
		t.Errorf("version: exit %d, %s", code, out)
	}
}
