package brokertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/ddltail/ddltail/test/mongotest"
)

// NewNATSWithUsers starts a server with the users that a configuration lists; this package connects as one of them.
func NewNATSWithUsers(tb mongotest.TB, users, user, password string) NATS {
	tb.Helper()
	n := newNATS(tb)
	n.options = []nats.Option{nats.UserInfo(user, password)}
	n.start(tb, "--config", n.configure(tb, "authorization { users = ["+users+"] }"))
	return n
}

// NewNATSWithAccounts starts a server that authenticates by credentials files. It returns the contents of two credentials
// files: one of a user of the server, and one of a user whose account is not known to the server.
func NewNATSWithAccounts(tb mongotest.TB) (n NATS, known, unknown []byte) {
	tb.Helper()
	n = newNATS(tb)
	operator, account, system, other := newSigner(tb, nkeys.CreateOperator), newSigner(tb, nkeys.CreateAccount), newSigner(tb, nkeys.CreateAccount),
		newSigner(tb, nkeys.CreateAccount)
	known, unknown = account.user(tb), other.user(tb)
	self := jwt.NewOperatorClaims(operator.public)
	self.SystemAccount = system.public
	file := n.configure(tb, fmt.Sprintf("operator: %q\nresolver: MEMORY\nresolver_preload: {%s: %q, %s: %q}", operator.sign(tb, self),
		account.public, operator.sign(tb, claimsOf(account, jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit,
			Streams: jwt.NoLimit, Consumer: jwt.NoLimit})),
		system.public, operator.sign(tb, claimsOf(system, jwt.JetStreamLimits{}))))
	credentials := filepath.Join(n.Dir(), "user.creds")
	n.options = []nats.Option{nats.UserCredentials(credentials)}
	if err := os.WriteFile(credentials, known, 0o600); err != nil {
		tb.Fatalf("%v", err)
	}
	n.start(tb, "--config", file)
	return n, known, unknown
}

// configure writes a configuration and returns its path.
func (n NATS) configure(tb mongotest.TB, text string) string {
	tb.Helper()
	file := filepath.Join(n.Dir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		tb.Fatalf("%v", err)
	}
	return file
}

// signer is a key with its public name.
type signer struct {
	nkeys.KeyPair
	public string
}

func newSigner(tb mongotest.TB, create func() (nkeys.KeyPair, error)) signer {
	tb.Helper()
	pair, err := create()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return signer{pair, public}
}

func (s signer) sign(tb mongotest.TB, claims jwt.Claims) string {
	tb.Helper()
	token, err := claims.Encode(s)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return token
}

// user returns the content of the credentials file of a new user.
func (s signer) user(tb mongotest.TB) []byte {
	tb.Helper()
	user := newSigner(tb, nkeys.CreateUser)
	seed, seedErr := user.Seed()
	content, err := jwt.FormatUserConfig(s.sign(tb, jwt.NewUserClaims(user.public)), seed)
	if err := errors.Join(seedErr, err); err != nil {
		tb.Fatalf("%v", err)
	}
	return content
}

func claimsOf(account signer, limits jwt.JetStreamLimits) *jwt.AccountClaims {
	claims := jwt.NewAccountClaims(account.public)
	claims.Limits.JetStreamLimits = limits
	return claims
}
