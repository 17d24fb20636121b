package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
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
func (s Secret) sign(id string, at time.Time, body []byte) (string, error) {
	webhook, err := standardwebhooks.NewWebhookRaw(s)
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", id, err)
	}
	signature, err := webhook.Sign(id, at, body)
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", id, err)
	}
	return signature, nil
}
