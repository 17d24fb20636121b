// Makes the collection of schema-change notifications, as `ddltail setup` does, in the database that the connection string names:
//
//   mongosh 'mongodb://localhost:27017/banking_db' < docs/mongodb-trigger-setup.js
//   mongosh 'mongodb://localhost:27017/banking_db' --file docs/mongodb-trigger-setup.js
//
// Running it again does no harm.

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
  notifications.createIndex({ timestamp: 1 });
  notifications.createIndex({ processed: 1 }, { sparse: true });
  print(`${db.getName()}.${name} is ready`);
})();
