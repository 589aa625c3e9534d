// Package call is the B2BUA call machine: events in, actions out. It owns the decisions about one call
// between a caller and a callee, and nothing else: no I/O, no clock, no log, no message.
package call
