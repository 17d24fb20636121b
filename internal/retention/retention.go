// Package retention removes what is older than a limit: processed notifications from the queue,
// and changes and superseded versions from the history. It removes nothing that a detector could
// need or write again.
package retention

import "time"

// seconds is the form of a notification's timestamp.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
