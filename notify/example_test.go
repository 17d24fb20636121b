package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/notify"
)

// A migration creates an index and reports it to the consumers of schema_notifications.
func ExampleSchemaChange() {
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://localhost:27017"))
	if err != nil {
		log.Fatal(err)
	}
	err = notify.SchemaChange(ctx, client.Database("banking_db"), notify.Change{
		Operation: notify.CreateIndex, Collection: "transactions", Index: "amount_idx",
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A change that misses a required field is refused before anything is written.
func ExampleChange_Validate() {
	err := notify.Change{Operation: notify.CreateIndex, Collection: "transactions"}.Validate()
	var invalid *notify.InvalidError
	fmt.Println(errors.As(err, &invalid), err)
	// Output: true CREATE_INDEX needs an index
}
