// Package probe proves a trunk before anyone relies on it: it sends real SIP
// requests, step by step, and says for each what came back, what that means and
// what to do about it.
//
// A [Prober] runs a [Request] and returns a [Report]: three checks, the steps
// behind them in order of time, and what was learnt of the carrier. A [Verifier]
// has trunks and numbers proven again by schedule and tells when a verdict changes.
//
// What may take time (names, files, the first connection to a stream server) runs
// in the caller's goroutine, in prepare.go and connect.go. The SIP is a machine on a
// shard: job.go decides the next step, exchange.go is one request with its answers
// to challenges, and judge.go turns outcomes into findings, as pure functions. What
// carriers' own codes mean stands in the tables of package provider.
//
// A probe never answers for anybody: an INVITE of its own is cancelled as soon
// as the carrier has taken it up, and ended at once should it be answered. It binds
// nobody, unless asked to, and then puts back what was bound before.
package probe
