// Package media carries the sound of a call: it rewrites the session descriptions of the two parties so that both
// talk to us, and relays their RTP and RTCP packets from one to the other.
//
// A [Relay] owns the UDP ports and the threads that read them; a [Bridge] is the media of one call, with a caller's
// and a callee's side. The call's shell gives every session description that crosses the edge to [Bridge.Offer] or
// [Bridge.Answer] and sends on what it gets back. The package knows nothing of SIP messages, trunks or agents; when
// relaying is switched off the shell passes descriptions through by itself and never comes here.
//
// Inside, the words are those of a switchboard. A jack is a bound UDP socket; jacks come in pairs, RTP and RTCP, and
// rest between calls. A plug is one party's stream in a jack and knows its opposite; a path is the plugs of one
// m= line, two or four; a route, immutable, says whom a plug listens to and where its party wants packets. The call's
// goroutine publishes routes by what descriptions say, the jack's reader by what packets say, each by one atomic swap.
//
// Where one party speaks of digits by INFO and the other by telephone-event, a plug has a converter, with a mutex of its own and at
// most one timer: a player, or a listener. All other plugs compare one pointer with nil.
//
// Decisions (what a description becomes, which packet source is believed, what was lost) are functions without
// sockets, clocks or logs; relay.go and the engines in the poll files are the shell around them. A packet costs no
// allocation, no lock and no log line.
//
// With [EngineNone] there are no sockets: descriptions and ports work as ever, ports and session ids come in a fixed
// order, and nothing flows but what [Relay.Inject] puts in and Options.Outlet takes out. That is for tests of signalling in a synctest bubble.
package media
