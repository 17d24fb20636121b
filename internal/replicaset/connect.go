package replicaset

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
)

const (
	// codeAuthenticationFailed is the error of a server for wrong credentials.
	codeAuthenticationFailed = 18
	// codeMechanismUnavailable is its error for an authMechanism that is not enabled.
	codeMechanismUnavailable = 334
)

var (
	// ErrAuthentication is returned if the member refused the credentials.
	ErrAuthentication = errors.New("authentication failed")
	// ErrMechanism is an ErrAuthentication that no other credentials resolve.
	ErrMechanism = fmt.Errorf("%w: the server does not offer the URI's authMechanism", ErrAuthentication)
)

// Connect opens a direct connection to one member, and checks that it accepts the credentials.
func Connect(ctx context.Context, base *options.ClientOptions, host string) (*mongo.Client, error) {
	// The pool needs one connection for the cursor and one for other commands.
	client, err := mongo.Connect(direct(base, host).SetMaxPoolSize(4).SetRetryReads(false))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, selectionTimeout)
	defer cancel()
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		disconnect(client)
		if refused := AuthenticationError(err); refused != nil {
			return nil, fmt.Errorf("connect to %s: %w", host, refused)
		}
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	return client, nil
}

// Announce opens a connection to a host without authentication, with an application name, which the server logs.
func Announce(ctx context.Context, base *options.ClientOptions, host, application string) error {
	client, err := mongo.Connect(unauthenticated(base, host).SetAppName(application))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", host, err)
	}
	defer disconnect(client)
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Err(); err != nil {
		return fmt.Errorf("connect to %s: %w", host, err)
	}
	return nil
}

// Unauthenticated reports whether an error means that the credentials are wrong.
func Unauthenticated(err error) bool { return AuthenticationError(err) != nil }

// AuthenticationError returns ErrAuthentication or ErrMechanism if a server refused the
// credentials, else nil.
func AuthenticationError(err error) error {
	var code int32
	var fromServer driver.Error
	var command mongo.CommandError
	switch {
	case errors.As(err, &fromServer):
		code = fromServer.Code
	case errors.As(err, &command):
		code = command.Code
	}
	switch code {
	case codeAuthenticationFailed:
		return ErrAuthentication
	case codeMechanismUnavailable:
		return ErrMechanism
	}
	return nil
}
