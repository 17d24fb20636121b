// Makes the servers of docker-compose.yml one replica set, with the users root, ddltail and ddltail-listen. It runs at every start:
// what is there already stays.
(() => {
  const fs = require('fs');
  const env = process.env;
  const members = env.MEMBERS.split(',');
  const patience = 120 * 1000;
  const codeAlreadyInitialized = 23;
  // By its keyFile a member knows this user from the start, from any host. The localhost exception would do for the first member
  // alone, and only as long as that one is primary.
  const system = `__system:${read(env.KEY_FILE)}`;
  const asSystem = 'authSource=local&authMechanism=SCRAM-SHA-256&serverSelectionTimeoutMS=3000'
    + `&tls=true&tlsCAFile=${encodeURIComponent(env.CA_FILE)}`;

  function read(path) {
    return encodeURIComponent(fs.readFileSync(path, 'utf8').trim());
  }

  function say(text) {
    console.log(`initiate.js: ${text}`);
  }

  function insist(step, attempt) {
    const deadline = Date.now() + patience;
    let said = '';
    for (;;) {
      try {
        const result = attempt(); // mongosh waits for it here: `return attempt()` would fail outside of the try
        return result;
      } catch (e) {
        if (Date.now() > deadline) {
          throw new Error(`${step}: ${e.message}`);
        }
        if (e.message !== said) {
          said = e.message;
          say(`waiting to ${step}: ${said}`);
        }
      }
      sleep(500);
    }
  }

  function initiate() {
    const first = new Mongo(`mongodb://${system}@${members[0]}/?directConnection=true&${asSystem}`);
    const config = {_id: env.REPLICA_SET, members: members.map((host, _id) => ({_id, host}))};
    try {
      first.getDB('admin').runCommand({replSetInitiate: config});
      say(`${env.REPLICA_SET} is initiated`);
    } catch (e) {
      if (e.code !== codeAlreadyInitialized) {
        throw e;
      }
    }
  }

  function createRoot(admin) {
    if (admin.runCommand({usersInfo: 'root'}).users.length > 0) {
      return;
    }
    const pwd = fs.readFileSync(env.ROOT_PASSWORD_FILE, 'utf8').trim();
    admin.runCommand({createUser: 'root', pwd, roles: ['root'], writeConcern: {w: 'majority', wtimeout: 60000}});
    say('the user root is created');
  }

  try {
    insist('initiate the set', initiate);
    const uri = `mongodb://${system}@${members}/?replicaSet=${env.REPLICA_SET}&${asSystem}`;
    db = insist('reach a primary', () => new Mongo(uri).getDB('admin'));
    insist('create the user root', () => createRoot(db));
  } catch (e) {
    console.error(`initiate.js: ${e.message}`);
    quit(1);
  }
  load(`${__dirname}/create-user.js`);
  Object.assign(env, {DDLTAIL_ROLE: 'listen', DDLTAIL_USER: env.LISTEN_USER, DDLTAIL_PASSWORD_FILE: env.LISTEN_PASSWORD_FILE});
  load(`${__dirname}/create-user.js`);
})();
