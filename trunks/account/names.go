package account

import "strconv"

// TrunkName is what the engine, records and metrics call the trunk of a connection, or, with connection 0, of a SIP credential
// made directly. The file cannot have such a name: ':' is none of its characters.
func TrunkName(connection int64, credential string) string {
	if connection != 0 {
		return "connection:" + strconv.FormatInt(connection, 10)
	}
	return "credential:" + credential
}

// AgentName is what the engine, records and logs call an agent.
func AgentName(id int64) string { return "agent:" + strconv.FormatInt(id, 10) }
