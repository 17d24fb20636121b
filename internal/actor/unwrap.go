package actor

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// maxWrapped bounds a line that is joined from parts. A line of mongod has at most maxLogSizeKB, 10 kB unless it was raised.
const maxWrapped = 1 << 20

// Unwrapper extracts mongod's lines from a container's captured output: Docker's json-file ({"log":…,"stream":…,"time":…}, a partial
// line ends without a newline) and CRI's ("time stream F|P text"). A line that is not wrapped is returned unchanged. The zero value is
// ready to use.
type Unwrapper struct {
	parts   map[string][]byte // by stream: the parts of both streams may alternate
	tooLong map[string]bool
	// whole holds the streams whose next text begins a line. Without resync, this is true of all streams.
	whole  map[string]bool
	resync bool
}

// Resync drops partial lines. The next text of each stream may be the rest of an earlier line, and could begin with a text that was
// chosen by a client and looks like a line. Wrapped text up to the end of that line is therefore skipped.
func (u *Unwrapper) Resync() { *u = Unwrapper{resync: true} }

// ErrTorn is the error of a line whose wrapping is incomplete: its text is lost.
var ErrTorn = errors.New("the line is torn")

// Line returns the line that raw completes, without its newline, or false if more parts follow.
func (u *Unwrapper) Line(raw []byte) (line []byte, complete bool, err error) {
	raw = bytes.TrimRight(raw, "\r\n")
	if bytes.HasPrefix(raw, []byte(`{"log":`)) {
		var docker struct{ Log, Stream string }
		if err := json.Unmarshal(raw, &docker); err != nil {
			return nil, false, ErrTorn
		}
		text, last := bytes.CutSuffix([]byte(docker.Log), []byte("\n"))
		line, complete = u.join(docker.Stream, text, last)
		return line, complete, nil
	}
	if stream, text, last, ok := cri(raw); ok {
		line, complete = u.join(stream, text, last)
		return line, complete, nil
	}
	return raw, true, nil
}

// cri splits "2026-11-25T14:00:00.000000000Z stdout F text". The tag can have further parts, separated by colons.
func cri(raw []byte) (stream string, text []byte, complete, ok bool) {
	fields := bytes.SplitN(raw, []byte(" "), 4)
	if len(fields) != 4 || len(fields[0]) < len("2006-01-02T15:04:05Z") || fields[0][4] != '-' {
		return "", nil, false, false
	}
	stream = string(fields[1])
	tag, _, _ := bytes.Cut(fields[2], []byte(":"))
	if (stream != "stdout" && stream != "stderr") || len(tag) != 1 || (tag[0] != 'F' && tag[0] != 'P') {
		return "", nil, false, false
	}
	return stream, fields[3], tag[0] == 'F', true
}

func (u *Unwrapper) join(stream string, text []byte, complete bool) ([]byte, bool) {
	if u.parts == nil {
		u.parts, u.tooLong, u.whole = map[string][]byte{}, map[string]bool{}, map[string]bool{}
	}
	if stream != "stdout" && stream != "stderr" {
		return nil, false
	}
	if u.resync && !u.whole[stream] {
		u.whole[stream] = complete
		return nil, false
	}
	if len(u.parts[stream])+len(text) > maxWrapped {
		u.tooLong[stream] = true
	}
	if !u.tooLong[stream] {
		u.parts[stream] = append(u.parts[stream], text...)
	}
	if !complete {
		return nil, false
	}
	// The beginning of a line that is too long is kept, because it has the ids.
	line := slices.Clone(u.parts[stream])
	u.parts[stream], u.tooLong[stream] = u.parts[stream][:0], false
	return line, true
}
