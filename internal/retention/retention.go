// Package retention removes old documents: processed notifications from the queue, and changes
// and superseded versions from the history. It does not remove documents that a detector could
// need or write again.
package retention

import "time"

// seconds returns a time in the form of a notification's timestamp.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
