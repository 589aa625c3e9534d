// Package account is what an organization has with us: its keys, the connections it brings, their SIP credentials, its
// numbers and agents, and what happened to them. A Service does each use case once, for every door that opens onto it.
//
// The API and the command line call it. It decides who may do what, what may be changed to what, and which rows of the
// database become trunks, agents and numbers of the edge (Inventory). It never speaks SQL, HTTP or SIP: what it needs of
// these it asks of a Repository, a provider.Provider, a Prober and an Engine.
//
// Objects of another organization do not exist for a caller: every look-up names the organization, and the answer is
// NotFound. Every change is one transaction of the Repository, with its event and its audit entry in it.
package account
