// Package trunks is the business of the edge as immutable values: which trunk or agent an address belongs to, which
// number a call is for, where it goes and why it was refused. It also names the record that every call ends in.
//
// sip asks it on every call, and swaps the Snapshot on reload. It knows no SIP messages, opens no socket, resolves
// no name and reads no clock: what it needs of these comes in as arguments. What changes in a
// Snapshot is the count of calls in progress, which follows a trunk or agent through reloads by its name, and the health of a
// trunk's servers, which follows their addresses.
package trunks
