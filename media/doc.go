// Package media carries the sound of a call: it rewrites the session descriptions of the two parties so that both
// talk to us, and relays their RTP and RTCP packets from one to the other.
//
// A [Relay] owns the UDP ports and the threads that read them; a [Bridge] is the media of one call, with a caller's
// and a callee's side. The call's shell gives every session description that crosses the edge to [Bridge.Offer] or
// [Bridge.Answer] and sends on what it gets back. The package knows nothing of SIP messages, trunks or agents; when
// relaying is switched off the shell passes descriptions through by itself and never comes here.
//
// Decisions (what a description becomes, which packet source is believed, what was lost) are functions without
// sockets, clocks or logs; relay.go and the poll files are the shell around them.
package media
