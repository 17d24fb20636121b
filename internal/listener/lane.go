package listener

// lane is what keeps its order: one collection. Lanes do not hold each other up.
type partition struct {
	database, collection string
}

// laneOf puts a notification that names no database with those of the queue's own,
// where the queue is next to what it tells of.
func partitionOf(n record, queue string) partition {
	database := n.database
	if database == "" && queue != anyDatabase {
		database = queue
	}
	return partition{database: database, collection: n.collection}
}
