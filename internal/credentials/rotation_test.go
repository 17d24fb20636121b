package credentials

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/replicaset"
)

func uri(t *testing.T, text string) config.URI {
	t.Helper()
	u, err := config.ParseURI(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// files are what the URIs are read from.
type files struct {
	uri config.URI
	err error
}

func rotation(t *testing.T, f *files) *Rotation {
	r := New(config.Config{MongoDB: f.uri, Sink: f.uri}, zaptest.NewLogger(t))
	r.Read = func() (mongoDB, sink config.URI, err error) { return f.uri, f.uri, f.err }
	return r
}

// TestRotates checks when a session ends for other credentials.
func TestRotates(t *testing.T) {
	const before = "mongodb://ann:old@a:1/db"
	for name, c := range map[string]struct {
		after string
		err   error
		fail  error
		again bool
	}{
		"refused, another password":              {"mongodb://ann:new@a:1/db", nil, replicaset.ErrAuthentication, true},
		"a network error, another password":      {"mongodb://ann:new@a:1/db", nil, errors.New("connection refused"), true},
		"refused, the same password":             {before, nil, replicaset.ErrAuthentication, false},
		"refused, another host":                  {"mongodb://ann:new@b:1/db", nil, replicaset.ErrAuthentication, false},
		"refused, the file cannot be read":       {"mongodb://ann:new@a:1/db", errors.New("no such file"), replicaset.ErrAuthentication, false},
		"a request (SIGHUP), another password":   {"mongodb://ann:new@a:1/db", nil, nil, true},
		"a request (SIGHUP), the same password":  {before, nil, nil, false},
		"a request (SIGHUP), another host":       {"mongodb://ann:new@b:1/db", nil, nil, false},
		"a request (SIGHUP), another authSource": {"mongodb://ann:new@a:1/db?authSource=x", nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &files{uri: uri(t, before)}
			r := rotation(t, f)
			var sessions []string
			stop := errors.New("stop")
			err := r.Run(t.Context(), func(ctx context.Context, mongoDB, _ config.URI, again bool) error {
				sessions = append(sessions, mongoDB.Options().Auth.Password)
				if again != (len(sessions) > 1) || again {
					return stop
				}
				f.uri, f.err = uri(t, c.after), c.err
				if c.fail != nil {
					r.Use("tail").Failed(c.fail)
				} else {
					r.Reread()
				}
				if ctx.Err() != nil {
					return nil
				}
				return stop
			})
			if !errors.Is(err, stop) {
				t.Errorf("ended with %v", err)
			}
			if got := len(sessions) == 2; got != c.again || got && sessions[1] != "new" {
				t.Errorf("sessions with %q", sessions)
			}
		})
	}
}

// TestRereadLogs checks that a request logs once what came of it.
func TestRereadLogs(t *testing.T) {
	const before = "mongodb://ann:old@a:1/db"
	for name, c := range map[string]struct {
		after string
		err   error
		want  string
	}{
		"the same":                 {before, nil, "credentials reread; they have not changed"},
		"another host":             {"mongodb://ann:new@b:1/db", nil, "the current URI is kept; restart ddltail to apply the new one"},
		"the file cannot be read":  {before, errors.New("no such file"), "credentials cannot be reread; the current ones are kept"},
		"the file is only partial": {before, errors.New("want mongodb://"), "credentials cannot be reread; the current ones are kept"},
	} {
		f := &files{uri: uri(t, before)}
		r := rotation(t, f)
		core, logs := observer.New(zap.InfoLevel)
		r.Log = zap.New(core)
		f.uri, f.err = uri(t, c.after), c.err
		r.Reread()
		if logs.Len() != 1 || logs.All()[0].Message != c.want {
			t.Errorf("%s: %v", name, logs.All())
		}
	}
}

// TestGivesUp checks that credentials are given up after they were refused all the time,
// and by nothing else.
func TestGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		fail    error
		worksAt int
		want    bool
	}{
		"refused":          {replicaset.ErrAuthentication, -1, true},
		"accepted between": {replicaset.ErrAuthentication, 20, false},
		"a network error":  {errors.New("connection refused"), -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rotation(t, &files{uri: uri(t, "mongodb://ann:old@a:1/db")})
				err := r.Run(t.Context(), func(ctx context.Context, _, _ config.URI, _ bool) error {
					use := r.Use("tail")
					for i := range 32 {
						use.Failed(c.fail)
						if i == c.worksAt {
							use.Worked()
						}
						time.Sleep(10 * time.Second)
					}
					return ctx.Err()
				})
				if errors.Is(err, ErrRefused) != c.want {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestConnect checks that a process that has worked waits for its servers, and for other
// credentials.
func TestConnect(t *testing.T) {
	final := &config.Error{Reason: "a standalone server"}
	refused := &config.Error{Reason: "refused", Err: replicaset.ErrAuthentication}
	for name, c := range map[string]struct {
		errs []error
		want error
	}{
		"unreachable, then not":   {[]error{errors.New("down"), errors.New("down"), nil}, nil},
		"refused, then accepted":  {[]error{refused, refused, nil}, nil},
		"waiting does not help":   {[]error{errors.New("down"), final}, final},
		"accepted the first time": {[]error{nil}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rotation(t, &files{uri: uri(t, "mongodb://ann:old@a:1/db")})
				n := 0
				err := r.Connect(t.Context(), func(context.Context) error { n++; return c.errs[n-1] })
				if !errors.Is(err, c.want) || n != len(c.errs) {
					t.Errorf("got %v after %d steps", err, n)
				}
			})
		})
	}
}
