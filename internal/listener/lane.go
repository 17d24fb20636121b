package listener

// lane is what keeps its order: one collection. Lanes do not hold each other up.
type lane struct {
	database, collection string
}

// laneOf puts a notification that names no database with those of the queue's own,
// where the queue is next to what it tells of.
func laneOf(n notice, queue string) lane {
	database := n.database
	if database == "" && queue != anywhere {
		database = queue
	}
	return lane{database: database, collection: n.collection}
}
