// Package dialog keeps SIP dialogs (RFC 3261 §12) of both roles: identifiers,
// sequence numbers, route set and remote target, and writes the requests that
// are sent inside them.
//
// A Dialog is a value owned by one shard; no method may be called
// concurrently. The package sends nothing and keeps no clock: retransmission is
// package transaction's business, and what to send is package call's.
package dialog
