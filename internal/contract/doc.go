// Package contract proves the API's contract line by line: each test talks HTTP to the program as it ships, in a process of its own
// with a real database, a simulated carrier, an application and the providers' APIs on loopback. Subtests are named by the ids
// that docs/api.md lists.
package contract
