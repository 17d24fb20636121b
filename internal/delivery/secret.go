package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// Secret is the key that signs requests. It is never printed.
type Secret []byte

// String hides the key.
func (Secret) String() string { return "(secret)" }

// GoString hides the key.
func (Secret) GoString() string { return "(secret)" }

// ParseSecret parses the format of Standard Webhooks: whsec_ and the key in base64.
// An empty text returns the zero Secret. The error does not contain the text.
func ParseSecret(text string) (Secret, error) {
	if text == "" {
		return nil, nil
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) == 0 {
		return nil, errors.New("want whsec_ and the key in base64")
	}
	return key, nil
}

// sign returns the value of the header webhook-signature.
func (s Secret) sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
