package account

// Inventory is what the engine makes trunks, agents and numbers of, of all organizations.
type Inventory struct {
	Trunks  []SIPCredential
	Agents  []Agent
	Numbers []Number // neither released nor without a connection
}
