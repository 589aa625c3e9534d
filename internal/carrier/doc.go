// Package carrier is the other end of a trunk, and of an agent, made for the demo and for tests: a Carrier with a registrar,
// digest, a till and numbers that behave as asked, and an App that takes and makes calls. Options say how a carrier is, Faults what
// it does wrong from now on; Names is the name server that leads to several of them.
//
// Both speak SIP through sipgo's own user agent, client and server, and RTP through a few lines of their own, so that the edge never
// meets its own reading of a standard. Everything they see and do can be asked for. They bind the loopback addresses they are given
// and trust whoever reaches them: they are no servers for anything else.
package carrier
