// Package transport owns the sockets of the edge: UDP, TCP and TLS, IPv4 and IPv6.
//
// A Network opens every listener once and gives each shard a Port, its own door: the shard's goroutine calls Receive in a
// loop, decides, and calls Send. On Linux that goroutine itself waits in the kernel for the shard's UDP socket (see
// docs/decisions/0002-raw-receive.md); elsewhere, or when asked for, a net.UDPConn reader hands datagrams over. Stream
// connections have a reader and a writer goroutine each and never make a shard wait: what they read is copied into the
// shard's bounded queue, what a shard sends is queued, bounded, on the connection.
//
// The package frames messages on streams and otherwise does not look into them: it never parses, routes, retries or answers
// a message (except the keep-alive of RFC 5626 §3.5.1), resolves no names, and keeps no state for a UDP source. Whatever it
// drops it counts, with a reason.
package transport
