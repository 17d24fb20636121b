// Helpers that notify a schema change from mongosh. In the shell:
//
//   load('/path/to/mongosh-helper.js')
//
// or add that line to ~/.mongoshrc.js, to have them in every session. Notifications are written to schema_notifications of the
// current database. If ddltail's DATABASE is another one, set it first: ddltailDatabase = 'ddltail'

/** Writes one notification. All other functions use it. */
function notifySchemaChange(operation, collection, indexName, statement) {
  const target = indexName === undefined ? [collection] : [collection, indexName];
  const notification = { operation, collection };
  if (indexName !== undefined) {
    notification.index_name = indexName;
  }
  notification.operation_statement = statement ?? [operation.replaceAll('_', ' '), ...target.map(ddltailWord)].join(' ');
  notification.timestamp = new Double(Date.now() / 1000);
  notification.processed = false;
  notification.database = db.getName();
  notification.ns = `${db.getName()}.${collection}`;
  notification.source = 'manual';
  const queue = typeof ddltailDatabase === 'string' ? db.getSiblingDB(ddltailDatabase) : db;
  return queue.getCollection('schema_notifications').insertOne(notification, { writeConcern: { w: 'majority' } });
}

function notifyCreateCollection(collection, statement) {
  return notifySchemaChange('CREATE_COLLECTION', collection, undefined, statement);
}

function notifyDropCollection(collection, statement) {
  return notifySchemaChange('DROP_COLLECTION', collection, undefined, statement);
}

function notifyCreateIndex(collection, indexName, statement) {
  return notifySchemaChange('CREATE_INDEX', collection, indexName, statement);
}

function notifyDropIndex(collection, indexName, statement) {
  return notifySchemaChange('DROP_INDEX', collection, indexName, statement);
}

/** Runs db.createCollection, then writes its notification. */
function createCollectionWithNotify(collection, options) {
  const result = db.createCollection(collection, options);
  notifyCreateCollection(collection);
  return result;
}

/** Runs createIndex, then writes its notification. Returns the index's name. */
function createIndexWithNotify(collection, keys, options) {
  const name = db.getCollection(collection).createIndex(keys, options);
  const written = `${ddltailLiteral(keys)}, ${ddltailLiteral({ ...options, name })}`;
  notifyCreateIndex(collection, name, `${ddltailCollection(collection)}.createIndex(${written})`);
  return name;
}

/** Runs drop, then writes its notification if the collection existed. */
function dropCollectionWithNotify(collection) {
  const dropped = db.getCollection(collection).drop();
  if (dropped) {
    notifyDropCollection(collection);
  }
  return dropped;
}

/** Returns a name for a statement; one with quotes or control characters as a JSON string. */
function ddltailWord(name) {
  return /['"`\p{Cc}\u2028\u2029]/u.test(name) ? JSON.stringify(name) : name;
}

/** Returns db.payments, or db.getCollection('…') if db.payments is not the collection. */
function ddltailCollection(name) {
  const plain = /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && typeof db[name] !== 'function';
  return plain ? `db.${name}` : `db.getCollection(${ddltailLiteral(name)})`;
}

/** Returns a value as a literal. */
function ddltailLiteral(value) {
  if (typeof value === 'string') {
    return `'${JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
  }
  if (Array.isArray(value)) {
    return `[${value.map(ddltailLiteral).join(', ')}]`;
  }
  if (value !== null && typeof value === 'object' && value._bsontype === undefined) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    const key = (name) => (/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : ddltailLiteral(name));
    return `{${fields.map(([name, field]) => `${key(name)}: ${ddltailLiteral(field)}`).join(', ')}}`;
  }
  return EJSON.stringify(value);
}
