package declaration

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/schema"
)

// maxFile bounds the size of one file.
const maxFile = 256 << 20

// Read reads files and folders, and merges them.
func Read(paths ...string) (Declaration, error) {
	into := newBuilder()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return Declaration{}, fmt.Errorf("read the declaration: %w", err)
		}
		if info.IsDir() {
			err = readFolder(path, into)
		} else {
			err = readFile(path, "", into)
		}
		if err != nil {
			return Declaration{}, err
		}
	}
	return Declaration{Definitions: into.definitions}, nil
}

// kind is the format of a file, by the end of its name.
type kind int

const (
	unreadable kind = iota
	asScript
	asJSON
	asYAML
	asDump
	// alongside: other files of mongodump.
	alongside
)

func kindOf(path string) kind {
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	switch {
	case strings.HasSuffix(name, ".metadata.json"):
		return asDump
	case name == "prelude.json", strings.HasSuffix(name, ".bson"):
		return alongside
	}
	switch filepath.Ext(name) {
	case ".js", ".mongodb", ".mongosh":
		return asScript
	case ".json":
		return asJSON
	case ".yaml", ".yml":
		return asYAML
	}
	return unreadable
}

// readFolder reads every file below a folder, in the order of names. Files that are not
// declarations are skipped, but a folder without any declaration is an error.
func readFolder(folder string, into builder) error {
	found := false
	err := eachFile(folder, func(path string, _ fs.FileInfo) error {
		found = true
		return readFile(path, filepath.Base(filepath.Dir(path)), into)
	})
	if err != nil {
		return err
	}
	if !found {
		return &Error{File: folder, Problem: "no declaration; expected files *.js, *.json, *.yaml or *.metadata.json"}
	}
	return nil
}

// eachFile visits the declarations at or below a path. It follows links to folders.
func eachFile(root string, visit func(string, fs.FileInfo) error) error {
	return walk(root, nil, visit)
}

// walk is eachFile below folders, to which a link would lead without end.
func walk(root string, within []string, visit func(string, fs.FileInfo) error) error {
	target, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	if slices.Contains(within, target) {
		return fmt.Errorf("%s is a link to a folder that contains it", root)
	}
	within = append(slices.Clip(within), target)
	if isFolder(root) {
		root += string(filepath.Separator) // WalkDir follows no link but this one
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(entry.Name(), ".") && path != root:
			// A ConfigMap is mounted with links into hidden folders.
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.Type()&fs.ModeSymlink != 0 && isFolder(path):
			return walk(path, within, visit)
		case kindOf(path) == unreadable || kindOf(path) == alongside:
			return nil
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return err
		}
		return visit(path, info)
	})
}

// Fingerprint returns a value that changes with the declaration at a path. A ConfigMap is updated
// by changing a link: its files then have other paths.
func Fingerprint(path string) (string, error) {
	var b strings.Builder
	err := eachFile(path, func(path string, info fs.FileInfo) error {
		file, err := filepath.EvalSymlinks(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %d %d\n", file, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the declaration: %w", err)
	}
	return b.String(), nil
}

// readFile reads one file; db is the name of its folder, for files that name no database.
func readFile(path, db string, into builder) error {
	data, err := contents(path)
	if err != nil {
		return err
	}
	l := listing{builder: into, file: path, db: db}
	var n node
	switch kindOf(path) {
	case asScript:
		return readScript(path, data, into)
	case asYAML:
		n, err = parseYAML(path, data)
	case asDump:
		if db == "" {
			l.db = filepath.Base(filepath.Dir(path))
		}
		if l.name, err = dumpedName(path); err != nil {
			return err
		}
		n, err = parseJSON(path, data)
	case asJSON:
		n, err = parseJSON(path, data)
	default:
		return &Error{File: path, Problem: "not a declaration; expected *.js, *.json, *.yaml, *.metadata.json or a folder"}
	}
	if err != nil {
		return err
	}
	return l.read(n)
}

// dumpedName returns the collection of a metadata file, whose name is percent-encoded. The
// metadata of a time series has its name, its documents that of the bucket collection.
func dumpedName(path string) (string, error) {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".metadata.json")
	plain, err := url.QueryUnescape(name)
	if err != nil {
		return "", &Error{File: path, Problem: "the file's name is not percent-encoded"}
	}
	return strings.TrimPrefix(plain, schema.BucketsPrefix), nil
}

func contents(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the declaration: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, &Error{File: path, Problem: "not gzip: " + err.Error()}
		}
		r = z
	}
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() < maxFile {
		b.Grow(int(info.Size()) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case n > maxFile:
		return nil, &Error{File: path, Problem: fmt.Sprintf("larger than %d MB", maxFile>>20)}
	case len(bytes.TrimSpace(b.Bytes())) == 0:
		return nil, &Error{File: path, Problem: "the file is empty; write [] for an empty declaration"}
	}
	return b.Bytes(), nil
}
