package mongotest

import (
	"crypto/rand"
	"os"
	"path/filepath"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// key is the keyFile with which members authenticate to each other; the zero value is none. It also permits to authenticate as
// the internal user, before any user exists.
type key struct {
	secret string
	file   string
}

func makeKey(group *procgroup.Group, o Options) (key, error) {
	if !o.Auth {
		return key{}, nil
	}
	k := key{secret: rand.Text(), file: filepath.Join(group.Dir(), "keyFile")}
	return k, os.WriteFile(k.file, []byte(k.secret), 0o400)
}

// args returns the arguments that enable authentication, for clients too.
func (k key) args() []string {
	if k.file == "" {
		return nil
	}
	return []string{"--keyFile", k.file}
}

// login adds the credentials of the internal user to a connection string.
func (k key) login(u uri) uri {
	if k.file != "" {
		u.user, u.password, u.authSource = "__system", k.secret, "local"
		u.query += "&authMechanism=SCRAM-SHA-256"
	}
	return u
}
