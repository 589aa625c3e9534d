package sip

import (
	"errors"
	"math"
	"net/netip"

	"trunkline/config"
	"trunkline/media"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// openMedia makes the bridge of a call. Ports are taken with the first offer.
func (c *session) openMedia() {
	relay := c.shard.edge.options.Media
	if relay == nil {
		return
	}
	c.bridge = relay.Bridge(c.shard.mediaAddress(c.caller.flow), netip.Addr{})
	c.meet(media.Caller, c.caller.terms())
	c.watchMedia(c.shard.port.Now())
}

// terms are how the media of a side is met.
func (l *leg) terms() media.Terms {
	var m config.PartyMedia
	switch {
	case l.trunk != nil:
		m = l.trunk.Media
	case l.agent != nil:
		m = l.agent.Media
	}
	return media.Terms{Signalling: l.flow.Remote.Addr(), Latch: latches[m.Latch], Codecs: m.Codecs, SRTP: protections[m.SRTP], DTMF: dtmfWays[m.DTMF]}
}

var latches = map[config.Latch]media.Latch{
	config.LatchAuto: media.LatchAuto, config.LatchStrict: media.LatchStrict, config.LatchAny: media.LatchAny,
}

var protections = map[config.SRTP]media.SRTP{
	config.SRTPPass: media.SRTPPass, config.SRTPOff: media.SRTPOff, config.SRTPSDES: media.SRTPSDES,
}

var dtmfWays = map[config.DTMF]media.DTMF{config.DTMFPass: media.DTMFPass, config.DTMFInfo: media.DTMFInfo}

// replaceMedia gives the callee's side of the bridge to the target of an attempt.
func (c *session) replaceMedia() error {
	if c.bridge == nil {
		return nil
	}
	if err := c.bridge.Replace(media.Callee, c.shard.mediaAddress(c.callee.flow)); err != nil {
		return err
	}
	c.meet(media.Callee, c.callee.terms())
	return nil
}

// meet tells the bridge how the party on a side is met.
func (c *session) meet(side media.Side, t media.Terms) {
	c.bridge.Peer(side, t)
	if t.DTMF == media.DTMFInfo {
		c.listenForDigits()
	}
}

// settle tells the bridge that the last answer is final: what it does not use is
// given back.
func (c *session) settle() {
	if c.bridge != nil {
		c.bridge.Settle()
	}
}

// mediaAddress returns the local address where media for a side on this flow is
// received: the one its signalling uses.
func (s *shard) mediaAddress(f transport.Flow) netip.Addr {
	if a := s.edge.options.MediaAddress; a.IsValid() {
		return a
	}
	if f.Local.IsValid() && !f.Local.Addr().IsUnspecified() {
		return f.Local.Addr()
	}
	return s.edge.listeners[f.Socket].Local.Addr()
}

// closeMedia ends the bridge, keeps its statistics and gives the channels back.
func (c *session) closeMedia() {
	c.shard.wheel.Stop(&c.silence)
	if c.bridge != nil {
		c.endBridge()
	}
	c.giveTrunkBack()
	c.giveAgentBack()
}

func (c *session) giveAgentBack() {
	if c.onAgent {
		c.onAgent = false
		c.route.Agent.Release()
	}
}

// endBridge ends the bridge and keeps its statistics.
func (c *session) endBridge() {
	c.stats = c.bridge.Stats()
	c.bridge.Close()
	c.countLostDigits()
	c.bridge = nil
}

// dropBridge ends the bridge and asks it nothing.
func (c *session) dropBridge() {
	if c.bridge != nil {
		c.bridge.Close()
		c.bridge = nil
	}
}

// mediaStats sums what came from a side over all its streams.
func mediaStats(all media.Stats, from media.Side) (m trunks.MediaStats) {
	for _, stream := range all.Streams {
		f := stream.From[from]
		m.Packets += f.Relayed
		m.Bytes += f.Bytes
		m.Lost += f.Lost
		m.Jitter = max(m.Jitter, f.Jitter)
		m.RoundTrip = max(m.RoundTrip, f.RoundTrip)
		if mos := math.Round(f.MOS()*100) / 100; mos > 0 && stream.Media == "audio" && (m.MOS == 0 || mos < m.MOS) {
			m.MOS = mos
		}
		if m.Codec == "" {
			m.Codec = f.Codec
		}
	}
	return m
}

// asMedia finds the refusal of a negotiation in an error.
func asMedia(err error) (*media.Error, bool) { return errors.AsType[*media.Error](err) }
