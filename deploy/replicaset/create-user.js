// Creates a user of ddltail with a role of its own: the least that its commands need, on any server from 4.4 on.
// The table is in https://github.com/ddltail/ddltail/blob/main/docs/privileges.md.
//
// It needs mongosh and a login that may create users and roles, and prints the URI of the new user:
//
//   umask 077; openssl rand -hex 24 >password
//   DDLTAIL_USER=ddltail DDLTAIL_PASSWORD_FILE=password DDLTAIL_DATABASE=banking_db \
//     mongosh 'mongodb://ADMIN@host1,host2,host3/?replicaSet=rs0&authSource=admin' --file create-user.js
//
// DDLTAIL_DATABASE is the database of ddltail's own collections. DDLTAIL_ROLE is what the user is for: run (the default; also for
// status), listen (also for setup, notify, redeliver and cleanup) or history. Run the script once for each role, with the same user or
// another. Where DDLTAIL_HISTORY_TTL is set, as it is for `ddltail run`, the role may also remove history; without it a stolen login
// cannot. Where DDLTAIL_ACTOR is set, it may also read what finds out who made changes: the server's log, all connections with their
// queries, and the names of all users. DDLTAIL_PASSWORD may be given in place of the file. Run it again after an upgrade of ddltail or
// of the server, or to change the password: the role is brought up to date, and what else the user was granted stays.
(() => {
  const fs = require('fs');
  const admin = db.getSiblingDB('admin');
  const durable = {w: 'majority', wtimeout: 60000};
  const codeRoleExists = 51002;
  const codeUserExists = 51003;

  function settings(env) {
    const mistakes = [];
    const password = passwordFrom(env, mistakes);
    if (!env.DDLTAIL_USER) {
      mistakes.push('DDLTAIL_USER is not set: want the name of the user to create');
    }
    if (!env.DDLTAIL_DATABASE) {
      mistakes.push("DDLTAIL_DATABASE is not set: want the database of ddltail's own collections");
    } else if (['admin', 'config', 'local'].includes(env.DDLTAIL_DATABASE)) {
      mistakes.push(`DDLTAIL_DATABASE: ${env.DDLTAIL_DATABASE} belongs to the server: name another database`);
    }
    const purpose = env.DDLTAIL_ROLE || 'run';
    if (!Object.keys(privilegesOf).includes(purpose)) {
      mistakes.push(`DDLTAIL_ROLE: want ${Object.keys(privilegesOf).join(', ')}`);
    }
    return {user: env.DDLTAIL_USER, database: env.DDLTAIL_DATABASE, purpose, password, mistakes,
      retention: Boolean(env.DDLTAIL_HISTORY_TTL), actor: Boolean(env.DDLTAIL_ACTOR) && env.DDLTAIL_ACTOR !== 'off'};
  }

  function passwordFrom(env, mistakes) {
    if (env.DDLTAIL_PASSWORD) {
      return env.DDLTAIL_PASSWORD;
    }
    if (!env.DDLTAIL_PASSWORD_FILE) {
      mistakes.push('DDLTAIL_PASSWORD is not set, and no DDLTAIL_PASSWORD_FILE: want the password of the user');
      return '';
    }
    try {
      const password = fs.readFileSync(env.DDLTAIL_PASSWORD_FILE, 'utf8').trim();
      if (!password) {
        mistakes.push(`DDLTAIL_PASSWORD_FILE: ${env.DDLTAIL_PASSWORD_FILE} is empty`);
      }
      return password;
    } catch (e) {
      mistakes.push(`DDLTAIL_PASSWORD_FILE cannot be read: ${e.message}`);
      return '';
    }
  }

  // By DDLTAIL_ROLE. insert creates a collection too: createCollection would add nothing.
  const privilegesOf = {
    run: (own, {retention, actor, majorVersion}) => {
      const all = [
        {resource: {db: 'local', collection: 'oplog.rs'}, actions: ['find']},
        // The replica set's id, which distinguishes two sets of one name.
        {resource: {db: 'local', collection: 'system.replset'}, actions: ['find']},
        // Whether the set is a shard, and of which cluster.
        {resource: {db: 'admin', collection: 'system.version'}, actions: ['find']},
        own('schema_notifications', ['find', 'insert', 'update', 'createIndex']),
        own('schema_checkpoints', ['find', 'insert', 'update', 'createIndex']),
        // No update: a stolen login cannot rewrite the history.
        own('schema_history', ['find', 'insert', 'createIndex'].concat(retention ? ['remove'] : [])),
        own('schema_catalog', ['find', 'insert', 'createIndex'].concat(retention ? ['remove'] : [])),
        // The catalog: the names of all databases, the definitions of every collection, documents of none.
        {resource: {cluster: true}, actions: ['listDatabases']},
        {resource: {db: '', collection: ''}, actions: ['listCollections', 'listIndexes']},
      ];
      if (majorVersion >= 5) {
        // The indexes of time series by their buckets, which the privilege above leaves out like all of system.*. 4.4 has no time
        // series, and refuses this resource.
        all.push({resource: {db: '', system_buckets: ''}, actions: ['listIndexes']});
      }
      if (actor) {
        all.push(
          {resource: {cluster: true}, actions: ['getLog', 'inprog']},
          {resource: {db: '', collection: ''}, actions: ['viewUser']},
          own('schema_actors', ['find', 'insert'].concat(retention ? ['remove'] : [])),
        );
      }
      return all;
    },
    listen: (own) => [
      own('schema_notifications', ['find', 'insert', 'update', 'remove', 'createIndex', 'changeStream']),
      // redeliver takes from the history what cleanup has removed.
      ...['schema_history', 'schema_catalog', 'schema_checkpoints', 'schema_actors'].map((collection) => own(collection, ['find'])),
    ],
    history: (own) => ['schema_history', 'schema_catalog', 'schema_checkpoints', 'schema_actors'].map((collection) => own(collection, ['find'])),
  };

  function saveRole(role, wanted) {
    const definition = {privileges: wanted, roles: [], writeConcern: durable};
    try {
      admin.runCommand({createRole: role, ...definition});
    } catch (e) {
      if (e.code !== codeRoleExists) {
        throw e;
      }
      admin.runCommand({updateRole: role, ...definition});
    }
  }

  function saveUser(user, password, role) {
    try {
      admin.runCommand({createUser: user, pwd: password, roles: [role], writeConcern: durable});
    } catch (e) {
      if (e.code !== codeUserExists) {
        throw e;
      }
      updateUser(user, password, role);
    }
  }

  function updateUser(user, password, role) {
    const {roles} = admin.runCommand({usersInfo: user}).users[0];
    if (!roles.some((r) => r.db === 'admin' && /^ddltail_(run|listen|history)_/.test(r.role))) {
      throw new Error(`DDLTAIL_USER: ${user} exists and is not ddltail's: choose another name`);
    }
    admin.runCommand({updateUser: user, pwd: password, writeConcern: durable});
    admin.runCommand({grantRolesToUser: user, roles: [role], writeConcern: durable});
  }

  // The URI of the new user without its password. The hosts are those of the set's configuration.
  function uri(user, database) {
    const {hosts, setName} = admin.runCommand({hello: 1});
    const set = setName ? `replicaSet=${encodeURIComponent(setName)}&` : '';
    return `mongodb://${encodeURIComponent(user)}:PASSWORD@${(hosts || ['HOST']).join(',')}/${encodeURIComponent(database)}?${set}authSource=admin`;
  }

  function main() {
    const {user, database, purpose, retention, actor, password, mistakes} = settings(process.env);
    if (mistakes.length > 0) {
      throw new Error(mistakes.join('\n'));
    }
    const role = `ddltail_${purpose}_${database}`;
    const own = (collection, actions) => ({resource: {db: database, collection}, actions});
    const majorVersion = admin.runCommand({buildInfo: 1}).versionArray[0];
    saveRole(role, privilegesOf[purpose](own, {retention, actor, majorVersion}));
    saveUser(user, password, role);
    console.log(`create-user.js: ${user} has the role ${role}, both in admin. Its URI; replace PASSWORD, and add the TLS options if you use TLS:`);
    console.log(uri(user, database));
  }

  try {
    main();
  } catch (e) {
    for (const line of e.message.split('\n')) {
      console.error(`create-user.js: ${line}`);
    }
    quit(1);
  }
})();
