package snapshot

import (
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Subject is what an error of a listing concerns.
type Subject string

const (
	// Connection: the member, the connection, the user or the command. Every other listing would
	// fail in the same way.
	Connection Subject = "connection"
	// Object: the database or collection that was listed. Others can be listed.
	Object Subject = "object"
)

// SubjectOf returns what an error of listCollections or listIndexes concerns. Only a server's error
// can concern an object. An unknown code is attributed to the object, so that one object cannot
// hide all others.
func SubjectOf(err error) Subject {
	var se mongo.ServerError
	if !errors.As(err, &se) {
		return Connection
	}
	for _, row := range connectionErrors() {
		if se.HasErrorCode(row.code) {
			return Connection
		}
	}
	for _, label := range []string{"NetworkError", "RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"} {
		if se.HasErrorLabel(label) {
			return Connection
		}
	}
	return Object
}

type connectionError struct {
	code   int
	name   string
	reason string
}

// connectionErrors lists the codes that do not concern the object of the command.
func connectionErrors() []connectionError {
	return []connectionError{
		{6, "HostUnreachable", "network"},
		{7, "HostNotFound", "network"},
		{89, "NetworkTimeout", "network"},
		{202, "NetworkInterfaceExceededTimeLimit", "network"},
		{9001, "SocketException", "network"},
		{317, "ConnectionPoolExpired", "network"},

		{91, "ShutdownInProgress", "the member changes its state"},
		{189, "PrimarySteppedDown", "the member changes its state"},
		{10058, "LegacyNotPrimary", "the member changes its state"},
		{10107, "NotWritablePrimary", "the member changes its state"},
		{11600, "InterruptedAtShutdown", "the member changes its state"},
		{11602, "InterruptedDueToReplStateChange", "the member changes its state"},
		{13435, "NotPrimaryNoSecondaryOk", "the member changes its state"},
		{13436, "NotPrimaryOrSecondary", "the member changes its state"},
		{13388, "StaleConfig", "sharding metadata is being refreshed"},

		{24, "LockTimeout", "interrupted; the next attempt may succeed"},
		{43, "CursorNotFound", "interrupted; the next attempt may succeed"},
		{46, "LockBusy", "interrupted; the next attempt may succeed"},
		{50, "MaxTimeMSExpired", "interrupted; the next attempt may succeed"},
		{112, "WriteConflict", "interrupted; the next attempt may succeed"},
		{136, "CappedPositionLost", "interrupted; the next attempt may succeed"},
		{175, "QueryPlanKilled", "interrupted; the next attempt may succeed"},
		{215, "DatabaseDropPending", "interrupted; the next attempt may succeed"},
		{237, "CursorKilled", "interrupted; the next attempt may succeed"},
		{262, "ExceededTimeLimit", "interrupted; the next attempt may succeed"},
		{384, "ConnectionError", "network"},
		{462, "IngressRequestRateLimitExceeded", "the member is overloaded"},
		{11601, "Interrupted", "interrupted; the next attempt may succeed"},

		{134, "ReadConcernMajorityNotAvailableYet", "no read concern at this time"},
		{148, "ReadConcernMajorityNotEnabled", "no read concern on this member"},
		{211, "KeyNotFound", "no signing key for the cluster time yet"},
		{239, "SnapshotTooOld", "no read concern at this time"},
		{246, "SnapshotUnavailable", "no read concern at this time"},

		{11, "UserNotFound", "the user"},
		{13, "Unauthorized", "the user"},
		{18, "AuthenticationFailed", "the user"},
		{391, "ReauthenticationRequired", "the user"},

		{59, "CommandNotFound", "the command, on every object alike"},
		{115, "CommandNotSupported", "the command, on every object alike"},
		{123, "NotAReplicaSet", "the deployment"},
		{206, "NoSuchSession", "the session"},
	}
}

// maxReason bounds the text of a server's error, which can contain a whole definition.
const maxReason = 300

// reasonOf returns a server's error as one line.
func reasonOf(err error) string {
	text := err.Error()
	var ce mongo.CommandError
	if errors.As(err, &ce) {
		text = ce.Error()
	}
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxReason {
		return string(runes[:maxReason]) + "…"
	}
	return text
}
