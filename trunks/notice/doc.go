// Package notice turns what the edge does into events of the organizations it does it for: calls that end, registrations and servers
// that change their state, calls that wait for their turn.
//
// The edge hands a call record over and goes on; the rest is looked at once a second. Nothing here holds up a call: what does not fit
// into the queue is dropped and counted. Trunks and agents that the file manages belong to nobody and are not told of.
package notice
