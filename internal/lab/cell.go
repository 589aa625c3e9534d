package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Cell is one thing that works, or does not, with a peer. Two cells that are equal are the same thing.
type Cell struct {
	Peer      string // as "baresip"
	As        string // what it is to the edge: Agent or Carrier
	Transport string // between it and the edge: "udp", "tcp" or "tls"
	Media     string // "" or "rtp" for RTP or none, "srtp" where it and the edge speak SRTP
	What      string // one of the constants, or as they are worded
	Direction string // of the call: Inbound, Outbound; empty where there is no call
}

// What a peer is to the edge, and the way of a call as the edge's metrics have it: an agent is called inbound and calls outbound, a
// carrier the other way round.
const (
	Agent    = "agent"
	Carrier  = "carrier"
	Inbound  = "inbound"
	Outbound = "outbound"
)

// What may work, in the order of the page. What is not here comes after it by name.
const (
	Ping           = "OPTIONS is answered"
	Registration   = "registration, with a challenge"
	HungUpByPeer   = "call, hung up by the peer"
	HungUpByOther  = "call, hung up by the other side"
	Cancelled      = "call given up while it rings"
	Challenged     = "calls that are challenged"
	AtBinding      = "calls to what was registered"
	Reliable       = "provisional responses confirmed (100rel)"
	EarlyMedia     = "early media (183 with SDP)"
	Tone           = "tones heard both ways"
	DTMFFromPeer   = "DTMF sent by the peer (RFC 4733)"
	DTMFToPeer     = "DTMF sent to the peer (RFC 4733)"
	HeldByPeer     = "hold and resume by the peer"
	HeldByOther    = "hold and resume by the other side"
	BlindTransfer  = "blind transfer (REFER) by the peer"
	AttendedByPeer = "attended transfer (Replaces) by the peer"
	SessionTimer   = "session timer refreshed (RFC 4028)"
)

var order = []string{Ping, Registration, HungUpByPeer, HungUpByOther, Cancelled, Challenged, AtBinding, Reliable, EarlyMedia, Tone, DTMFFromPeer, DTMFToPeer, HeldByPeer, HeldByOther,
	BlindTransfer, AttendedByPeer, SessionTimer}

// Book is what was seen. Its methods may be called concurrently; the zero value is empty.
type Book struct {
	mu     sync.Mutex
	passed map[Cell][]testing.TB // by which tests
	lacks  map[Cell]string       // why not
}

// all is the book of this process's tests.
var all Book

// Tests is what the tests of this process have reported.
func Tests() *Book { return &all }

// Passed reports a cell that the test has seen to work. It counts when the test ends well.
func Passed(t testing.TB, c Cell) { all.Passed(t, c) }

// Lacks reports what a peer cannot do, with the reason: a sentence without a stop, as "baresip has no such command".
func Lacks(c Cell, reason string) { all.Lacks(c, reason) }

// Passed is as the function of that name.
func (b *Book) Passed(t testing.TB, c Cell) {
	t.Helper()
	if c.Peer == "" || c.As == "" || c.Transport == "" || c.What == "" {
		t.Fatalf("%+v: peer, role, transport and what are wanted", c)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.passed == nil {
		b.passed = map[Cell][]testing.TB{}
	}
	c = c.plain()
	b.passed[c] = append(b.passed[c], t)
}

// Lacks is as the function of that name.
func (b *Book) Lacks(c Cell, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lacks == nil {
		b.lacks = map[Cell]string{}
	}
	b.lacks[c.plain()] = reason
}

// plain writes RTP in one way.
func (c Cell) plain() Cell {
	if c.Media == "rtp" {
		c.Media = ""
	}
	return c
}

// column is the heading under which a cell stands.
func (c Cell) column() string { return strings.TrimSpace(c.Transport + " " + c.Media) }

// row is what stands before it.
func (c Cell) row() row { return row{c.What, c.As, c.Direction} }

type row struct{ what, as, direction string }

func (r row) String() string { return fmt.Sprintf("| %s | %s | %s |", r.what, r.as, r.direction) }

// compare orders rows as the page has them.
func (r row) compare(s row) int {
	place := func(what string) int {
		if at := slices.Index(order, what); at >= 0 {
			return at
		}
		return len(order)
	}
	return cmp.Or(cmp.Compare(place(r.what), place(s.what)), cmp.Compare(r.what, s.what), cmp.Compare(r.as, s.as), cmp.Compare(r.direction, s.direction))
}
