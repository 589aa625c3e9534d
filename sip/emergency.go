package sip

import (
	"bytes"
	"slices"

	"trunkline/sip/admit"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// isEmergency reports whether a called user part, or the URN in its place, asks for
// help (RFC 5031 §4.2, or a number of limits.emergency_numbers). Such a call is held
// up by no limit and tried on trunks that are down when no other is left.
func (e *Edge) isEmergency(called []byte) bool {
	if admit.IsSOS(called) {
		return true
	}
	number, _, _ := bytes.Cut(called, []byte(";"))
	return slices.Contains(e.options.Emergency, string(number))
}

// acquire takes a channel of a trunk for the call; one in an emergency takes it
// beyond max_calls.
func (c *session) acquire(t *trunks.Trunk) bool {
	if c.emergency {
		t.Take()
		return true
	}
	return t.Acquire()
}

// lastResort takes a call in an emergency to a trunk that was passed over because
// it is down.
func (c *session) lastResort() bool {
	if !c.emergency {
		return false
	}
	for i := range c.tries {
		if t := &c.tries[i]; t.attempt == passedOver && t.refusal == trunks.TrunkDown && !t.taken {
			t.taken = true
			return c.sitOn(t.trunk)
		}
	}
	return false
}

// sosTarget is the target of a call to a service URN: the URN stays, and a Route
// says which carrier is meant (RFC 6881 §8 ED-59).
func (c *session) sosTarget(t target) target {
	t.uri = bytes.Clone(c.called)
	t.to = append(append([]byte("<"), c.called...), '>')
	if c.callee.trunk.OutboundProxy.IsZero() {
		t.route = append(append([]byte("<sip:"), HostPort(c.callee.trunk)...), ";lr>"...)
	}
	return t
}

// withLocation puts the session description into a multipart body beside the
// location of the caller, if the INVITE brings one and only that keeps the two
// together (RFC 6442 §3.4: a Geolocation with a cid URI).
func (c *session) withLocation(invite *wire.Message, kind string, sdp []byte) (string, []byte) {
	if c.bridge == nil || sdp == nil || !invite.Has(wire.HGeolocation) {
		return kind, sdp
	}
	whole := invite.Get(wire.HContentType)
	s := c.shard
	body, ok := wire.AppendWithSDP(s.body[:0], whole, invite.Body, sdp, isLocation)
	s.body = body[:0]
	if !ok {
		return kind, sdp
	}
	return string(whole), body
}

var pidf = []byte("application/pidf+xml")

func isLocation(media []byte) bool { return bytes.EqualFold(media, pidf) }
