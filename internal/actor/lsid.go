package actor

import "crypto/sha256"

// UID is an entry's lsid.uid: the SHA-256 of user@db. The zero value is none.
type UID [sha256.Size]byte

// Directory names the user of an lsid.uid. The zero value knows none.
type Directory struct{ users map[UID]string }

// NewDirectory returns the directory of users, each as user@db.
func NewDirectory(users []string) Directory {
	d := Directory{users: make(map[UID]string, len(users))}
	for _, user := range users {
		d.users[sha256.Sum256([]byte(user))] = user
	}
	return d
}

// User returns the user of a session, if it is one of those known.
func (d Directory) User(uid UID) (user string, ok bool) {
	user, ok = d.users[uid]
	return user, ok
}

// Combine returns the actor that the session and the log line name together: the session names the user, the line the rest. A line
// of another user contradicts the session, unless the server's own connection is between them, as behind a mongos.
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
