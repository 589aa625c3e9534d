// Package digest answers and checks digest authentication (RFC 7616, RFC 8760,
// RFC 3261 §22).
//
// [Cache] is the client side, one per trunk: it reads the challenges of a 401 or
// 407, picks the one to answer, and gives later requests their Authorization
// before anyone asks, so that an authenticated trunk costs one INVITE per call.
// [Server] is the other side: nonces that carry their own proof, so that nothing
// is kept per challenge.
//
// Everything appends to a given slice and allocates next to nothing. The package
// sends nothing, knows no transactions and has no clock. It never logs, and no
// error of it holds a password or a hash of one.
package digest
