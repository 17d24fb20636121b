package actor

import "crypto/sha256"

// UID is an entry's lsid.uid: the SHA-256 of user@db. The zero value means none.
type UID [sha256.Size]byte

// Directory maps an lsid.uid to its user. The zero value is empty.
type Directory struct{ users map[UID]string }

// NewDirectory returns the directory of users, each as user@db.
func NewDirectory(users []string) Directory {
	d := Directory{users: make(map[UID]string, len(users))}
	for _, user := range users {
		d.users[sha256.Sum256([]byte(user))] = user
	}
	return d
}

// User returns the user of a session, if known.
func (d Directory) User(uid UID) (user string, ok bool) {
	user, ok = d.users[uid]
	return user, ok
}

// Combine combines the evidence of the session and the log line: the session identifies the user, the line the rest. A line with
// another user contradicts the session, unless its connection is internal, as with a mongos.
func (d Directory) Combine(uid UID, fromLog Actor, outcome Outcome) (Actor, Outcome) {
	user, ok := d.User(uid)
	switch {
	case !ok:
		if outcome == Found && uid != (UID{}) && fromLog.User != "" && !fromLog.Internal && sha256.Sum256([]byte(fromLog.User)) != uid {
			return Actor{}, None
		}
		return fromLog, outcome
	case outcome != Found, fromLog.Internal:
		return Actor{User: user, Via: fromLog.Via, Evidence: BySession, Exact: true}, Found
	case fromLog.User != "" && fromLog.User != user:
		return Actor{}, None
	}
	fromLog.User, fromLog.Users, fromLog.Exact = user, nil, true
	return fromLog, Found
}
