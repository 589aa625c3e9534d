// Package sip is the edge: it wires the packages below it to the network and to
// trunks, media and records.
//
// Work is divided into shards. A shard is one goroutine that owns its
// transactions, dialogs and calls; nothing in it is locked, and messages are
// handled in the order they arrive. Both legs of a call live in one shard,
// whose number is inside every tag and branch we mint.
//
// The package decides nothing about a call: package call does. Here are the
// sockets' end (shard.go, receive.go), the doing of what was decided
// (perform.go and its neighbours) and the counting.
package sip
