// Package rewrite decides what of a message crosses from one leg of a call to
// the other, and in which form: header policy, identities and topology hiding
// (RFC 5853 §3.1, RFC 7092).
//
// It is pure: a message and a policy go in, bytes come out. Nothing that is not
// named here crosses, so an inside address, host name or Call-ID has no way to
// the other side.
package rewrite
