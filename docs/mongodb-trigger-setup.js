// Creates the collection of schema-change notifications, as `ddltail setup` does, in the database of the connection string:
//
//   mongosh 'mongodb://localhost:27017/banking_db' < docs/mongodb-trigger-setup.js
//   mongosh 'mongodb://localhost:27017/banking_db' --file docs/mongodb-trigger-setup.js
//
// It is idempotent.

(function setUpNotifications() {
  const name = 'schema_notifications';
  if (!db.getCollectionNames().includes(name)) {
    db.createCollection(name);
  }
  const notifications = db.getCollection(name);
  notifications.updateOne(
    { _id: 'init' },
    { $setOnInsert: { type: 'init', message: 'Schema change notifications, written by ddltail and by hand', timestamp: new Date() } },
    { upsert: true },
  );
  // An index on the same field with other options, from an older script, is sufficient.
  const conflicts = [85, 86];
  for (const [keys, options] of [[{ timestamp: 1 }, {}], [{ processed: 1 }, { sparse: true }]]) {
    try {
      notifications.createIndex(keys, options);
    } catch (e) {
      if (!conflicts.includes(e.code)) {
        throw e;
      }
    }
  }
  print(`${db.getName()}.${name} is ready`);
})();
