// Package register keeps trunks registered at their carriers (RFC 3261 §10): it
// asks, refreshes before what was granted runs out, backs off when refused, and
// takes its binding back when it stops. When to do what is decided by pure
// functions in schedule.go.
package register
