// Package health sends OPTIONS to the servers of trunks at their interval
// (RFC 3261 §11), spread in time, and tells package trunks what came back. What
// that means for a server is decided there, by trunks.Health.
//
// cmd builds one Watcher beside the edge. It never sends a call away from a trunk:
// the edge asks the trunk.
//
// A KeepAlive sends OPTIONS to agents that have registered from behind a NAT, for
// the NAT's sake alone.
package health
