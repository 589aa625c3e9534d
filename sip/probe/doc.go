// Package probe proves a trunk before anyone relies on it: it sends real SIP
// requests, step by step, and says for each what came back, what that means and
// what to do about it.
//
// A probe never answers for anybody: an INVITE of its own is cancelled as soon
// as the carrier has taken it up, and ended at once should it be answered.
package probe
