package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are files in PEM: an authority, and certificates with keys that it signed.
type Certificates struct {
	CA                    string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
	server                string // key and certificate in one file
}

// newCertificates writes certificates for 127.0.0.1 into a folder.
func newCertificates(dir string) (Certificates, error) {
	c := Certificates{CA: filepath.Join(dir, "ca.pem"), server: filepath.Join(dir, "server.pem"),
		ServerCert: filepath.Join(dir, "server-cert.pem"), ServerKey: filepath.Join(dir, "server-key.pem"),
		ClientCert: filepath.Join(dir, "client-cert.pem"), ClientKey: filepath.Join(dir, "client-key.pem")}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ddltail tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return c, err
	}
	server, serverKey, err := signed(authority, caKey, 2, "127.0.0.1")
	if err != nil {
		return c, err
	}
	client, clientKey, err := signed(authority, caKey, 3, "ddltail")
	if err != nil {
		return c, err
	}
	return c, errors.Join(
		os.WriteFile(c.CA, encode("CERTIFICATE", ca), 0o600),
		os.WriteFile(c.ServerCert, server, 0o600), os.WriteFile(c.ServerKey, serverKey, 0o600),
		os.WriteFile(c.server, append(append([]byte{}, serverKey...), server...), 0o600),
		os.WriteFile(c.ClientCert, client, 0o600), os.WriteFile(c.ClientKey, clientKey, 0o600))
}

// signed returns a certificate and its key.
func signed(authority *x509.Certificate, caKey *ecdsa.PrivateKey, serial int64, name string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, private.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8), err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
