package listener

import "time"

const (
	// longestWait is the longest pause between two attempts to reach the queue.
	maxBackoff = 5 * time.Second
	// stopGrace is how long a request may go on after the listener has been told to
	// stop, and lastWord what a mark may take after that.
	stopGrace = 2500 * time.Millisecond
	updateGrace  = time.Second
)
