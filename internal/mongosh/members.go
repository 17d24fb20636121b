package mongosh

import (
	"slices"
	"strings"
)

// dbMembers are the properties of mongosh's db object, including inherited ones: db.<name> is one
// of them, not a collection. Names that begin with an underscore are not listed, because mongosh
// does not resolve any of them to a collection.
//
// They were read from mongosh 2.12.0 by walking the prototype chain of db; 2.0.0 has the same. A
// test compares them with the installed mongosh.
const dbMembers = `
	adminCommand aggregate auth changeUserPassword checkMetadataConsistency cloneCollection
	cloneDatabase commandHelp constructor copyDatabase createCollection createEncryptedCollection
	createRole createUser createView currentOp dropAllRoles dropAllUsers dropDatabase dropRole
	dropUser fsyncLock fsyncUnlock getCollection getCollectionInfos getCollectionNames getLastError
	getLastErrorObj getLogComponents getMongo getName getProfilingStatus getReplicationInfo getRole
	getRoles getSiblingDB getUser getUsers grantPrivilegesToRole grantRolesToRole grantRolesToUser
	hasOwnProperty hello help hostInfo isMaster isPrototypeOf killOp listCommands logout
	printCollectionStats printReplicationInfo printSecondaryReplicationInfo printShardingStatus
	printSlaveReplicationInfo propertyIsEnumerable revokePrivilegesFromRole revokeRolesFromRole
	revokeRolesFromUser rotateCertificates runCommand serverBits serverBuildInfo serverCmdLineOpts
	serverStatus setLogLevel setProfilingLevel setSecondaryOk shutdownServer sql stats
	toLocaleString toString updateRole updateUser valueOf version watch
`

func isMember(name string) bool {
	return slices.Contains(strings.Fields(dbMembers), name)
}
