package replicaset

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"
)

// CredentialsRefused reports whether an error means that a server refuses the user, the password or
// the client certificate, or that its certificate is not trusted: other credentials or another CA
// may fix that.
func CredentialsRefused(err error) bool {
	if err == nil {
		return false
	}
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	if errors.Is(err, ErrAuthentication) || Unauthenticated(err) || errors.As(err, &unknown) || errors.As(err, &invalid) {
		return true
	}
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		return true // a TLS alert: the server does not accept the certificate
	}
	// If no server can be selected, the driver has the reason only as a text.
	text := err.Error()
	return strings.Contains(text, "remote error: tls: ") || strings.Contains(text, "tls: failed to verify certificate")
}
