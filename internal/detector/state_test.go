package detector

import (
	"fmt"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
)

// TestDropsAreForgotten: drops that no dropDatabase can follow any more are not kept, however many databases there are.
func TestDropsAreForgotten(t *testing.T) {
	var s State
	began := time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		s.noteDrop(notification.Change{
			Operation: notification.DropCollection, Database: fmt.Sprint("db", i), Collection: "c", Wall: began.Add(time.Duration(i) * time.Second),
		})
	}
	if n := len(s.drops); n > int(dropRun.Seconds())+1 {
		t.Errorf("the drops of %d databases are kept", n)
	}
	if names, _ := s.droppedWithDatabase("db999", began.Add(1000*time.Second)); len(names) != 1 {
		t.Errorf("dropped with the last database: %q", names)
	}
}
