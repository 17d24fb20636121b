package actor

import (
	"crypto/sha256"
	"slices"
	"testing"
)

func TestUnwrap(t *testing.T) {
	const stamp = "2026-11-25T14:00:00.000000000Z "
	cases := []struct {
		name        string
		lines, want []string
	}{
		{"plain", []string{`{"t":1}` + "\n"}, []string{`{"t":1}`}},
		{"docker", []string{`{"log":"{\"t\":1}\n","stream":"stdout","time":"x"}`}, []string{`{"t":1}`}},
		{"docker in parts", []string{`{"log":"{\"t\"","stream":"stdout"}`, `{"log":":1}\n","stream":"stdout"}`}, []string{`{"t":1}`}},
		{"docker, two streams", []string{`{"log":"{\"t\"","stream":"stdout"}`, `{"log":"e\n","stream":"stderr"}`, `{"log":":1}\n","stream":"stdout"}`}, []string{"e", `{"t":1}`}},
		{"docker, torn", []string{`{"log":"{\"t\"`, `{"log":"{\"t\"{"log":"{\"t\":1}\n","stream":"stdout"}`}, []string{"torn", "torn"}},
		{"cri", []string{stamp + `stdout F {"t":1}`}, []string{`{"t":1}`}},
		{"cri in parts", []string{stamp + `stdout P {"t"`, stamp + `stdout F :1}`}, []string{`{"t":1}`}},
		{"cri, a tag with more", []string{stamp + `stdout F:x {"t":1}`}, []string{`{"t":1}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var u Unwrapper
			var got []string
			for _, l := range c.lines {
				line, ok, err := u.Line([]byte(l))
				switch {
				case err != nil:
					got = append(got, "torn")
				case ok:
					got = append(got, string(line))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestUnwrapResync: the end of a line whose beginning was not read is no line.
func TestUnwrapResync(t *testing.T) {
	const stamp = "2026-11-25T14:00:00.000000000Z "
	var u Unwrapper
	u.Resync()
	var got []string
	for _, l := range []string{stamp + `stdout P {"t":"forged"`, stamp + `stdout F ,"id":20250}`, stamp + `stdout F {"t":2}`, `{"t":3}`} {
		if line, ok, err := u.Line([]byte(l)); ok && err == nil {
			got = append(got, string(line))
		}
	}
	if want := []string{`{"t":2}`, `{"t":3}`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzUnwrap(f *testing.F) {
	f.Add([]byte(`{"log":"a","stream":"stdout"}`))
	f.Add([]byte("2026-11-25T14:00:00.000000000Z stdout P a"))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var u Unwrapper
		for range 2 {
			_, _, _ = u.Line(raw)
		}
	})
}

// TestSession has the cases of an lsid.uid beside a log line.
func TestSession(t *testing.T) {
	users := NewDirectory([]string{"ann@admin", "b@b@shop"})
	ann, stranger := UID(sha256.Sum256([]byte("ann@admin"))), UID(sha256.Sum256([]byte("cy@admin")))
	cases := []struct {
		name    string
		uid     UID
		log     Actor
		in, out Outcome
		user    string
	}{
		{"session alone", ann, Actor{}, None, Found, "ann@admin"},
		{"a name with @", UID(sha256.Sum256([]byte("b@b@shop"))), Actor{}, None, Found, "b@b@shop"},
		{"both agree", ann, Actor{User: "ann@admin", App: "x"}, Found, Found, "ann@admin"},
		{"they contradict", ann, Actor{User: "bob@admin"}, Found, None, ""},
		{"behind a mongos", ann, Actor{User: "__system@local", Internal: true, Via: ViaMongos}, Found, Found, "ann@admin"},
		{"a user that is not listed", stranger, Actor{User: "cy@admin"}, Found, Found, "cy@admin"},
		{"not listed, and they contradict", stranger, Actor{User: "bob@admin"}, Found, None, ""},
		{"no session", UID{}, Actor{User: "bob@admin"}, Found, Found, "bob@admin"},
		{"nothing", stranger, Actor{}, None, None, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, outcome := users.Combine(c.uid, c.log, c.in)
			if outcome != c.out || got.User != c.user {
				t.Errorf("%s %q, want %s %q", outcome, got.User, c.out, c.user)
			}
		})
	}
}
