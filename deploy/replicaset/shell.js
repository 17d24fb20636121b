// Logs mongosh in as root, without a password on any command line: docker compose run --rm shell
const rootPassword = require('fs').readFileSync(process.env.ROOT_PASSWORD_FILE, 'utf8').trim();
db = new Mongo(
  `mongodb://root:${encodeURIComponent(rootPassword)}@${process.env.MEMBERS}/?replicaSet=${process.env.REPLICA_SET}&authSource=admin`
  + `&tls=true&tlsCAFile=${encodeURIComponent(process.env.CA_FILE)}`,
).getDB(process.env.DDLTAIL_DATABASE);
