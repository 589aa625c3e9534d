package media

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strconv"
)

// SRTP says how the RTP of a party is protected.
type SRTP uint8

// The ways. Where neither party's is more than SRTPPass, keys cross from party to party and packets stay closed to us; else SRTP
// ends at us, on either side that has it.
const (
	SRTPPass SRTP = iota // as the other party has it
	SRTPOff              // it is offered plain RTP
	SRTPSDES             // it is offered RTP/SAVP with keys in the description (RFC 4568), and must offer that itself
)

// cryptoLine is an a=crypto line that we can use.
type cryptoLine struct {
	tag int // 1 to 9 digits; 0 = there is none
	key masterKey
}

// isSAVP tells of SRTP with keys in the description. RFC 3711, RFC 5124.
func isSAVP(proto []byte) bool {
	return bytes.EqualFold(proto, []byte("RTP/SAVP")) || bytes.EqualFold(proto, []byte("RTP/SAVPF"))
}

// protoFor is the transport of an RTP line with or without protection.
func protoFor(proto []byte, secured bool) string {
	feedback := proto[len(proto)-1]|0x20 == 'f'
	switch {
	case secured && feedback:
		return "RTP/SAVPF"
	case secured:
		return "RTP/SAVP"
	case feedback:
		return "RTP/AVPF"
	}
	return "RTP/AVP"
}

// crypto returns the first a=crypto line of a section that we can use and that fits: any, or one that answers ours.
func (s *section) crypto(fits func(cryptoLine) bool) (cryptoLine, bool) {
	for rest := s.lines; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		value, ok := bytes.CutPrefix(line, []byte("a=crypto:"))
		if !ok {
			continue
		}
		if c, ok := readCrypto(value); ok && fits(c) {
			return c, true
		}
	}
	return cryptoLine{}, false
}

// readCrypto reads "1 AES_CM_128_HMAC_SHA1_80 inline:…|2^20". It is false for what we cannot do: other suites, several keys, a
// master key identifier, parameters that change the protection. A lifetime is longer than any call and is passed over.
// RFC 4568 §9.1 and §6.1.
func readCrypto(value []byte) (c cryptoLine, ok bool) {
	tag, rest := nextField(value)
	name, rest := nextField(rest)
	key, rest := nextField(rest)
	if len(tag) > 9 {
		return c, false
	}
	if c.tag, ok = readNumber(tag, 999_999_999); !ok || c.tag == 0 {
		return c, false
	}
	if c.key.suite = suiteOf(name); c.key.suite == noSuite {
		return c, false
	}
	for len(rest) > 0 {
		var parameter []byte
		if parameter, rest = nextField(rest); len(parameter) > 0 && !bytes.HasPrefix(parameter, []byte("WSH=")) {
			return c, false
		}
	}
	key, ok = bytes.CutPrefix(key, []byte("inline:"))
	if !ok || bytes.IndexByte(key, ';') >= 0 || bytes.IndexByte(key, ':') >= 0 {
		return c, false
	}
	text, _, _ := bytes.Cut(key, []byte("|"))
	c.key.text = string(text)
	raw, err := base64.StdEncoding.DecodeString(c.key.text)
	return c, err == nil && len(raw) == c.key.suite.bytes()
}

// appendCrypto writes an a=crypto line.
func appendCrypto(dst []byte, c cryptoLine) []byte {
	dst = append(dst, "a=crypto:"...)
	dst = strconv.AppendInt(dst, int64(c.tag), 10)
	dst = append(append(append(dst, ' '), suites[c.key.suite].name...), " inline:"...)
	return append(append(dst, c.key.text...), "\r\n"...)
}

// newKey makes a master key of ours.
func newKey(s suite) masterKey {
	raw := make([]byte, s.bytes())
	rand.Read(raw) // it never fails
	return masterKey{s, base64.StdEncoding.EncodeToString(raw)}
}

// offeredSuites are those we offer, by their tags from 1: the two that RFC 4568 §6.2 makes mandatory.
var offeredSuites = [...]suite{aes80, aes32}

// keyRing is what we protect with towards one party of a stream: a key of each suite that was needed, kept while its ports are.
type keyRing [suiteCount]masterKey

func (k *keyRing) of(s suite) masterKey {
	if k[s].suite == noSuite {
		k[s] = newKey(s)
	}
	return k[s]
}

// ring is our keys towards a party.
func (s *stream) ring(side Side) *keyRing {
	if s.rings == nil {
		s.rings = new([2]keyRing)
	}
	return &s.rings[side]
}

// protection is what an offer says of one line's protection, and what we make of it.
type protection struct {
	ends bool       // SRTP ends at us, on either side that has it
	in   cryptoLine // the offerer's; tag 0 = it offers plain RTP
	out  bool       // the other party is offered SRTP
	bare bool       // neither has SRTP, and keys beside a plain line (RFC 8643) are not to cross
}

// protect decides about a line of an offer. Where digits are converted SRTP ends here, for its packets have to be read and written.
// The error says why the line cannot be carried.
func (s *section) protect(by, to SRTP, converts bool) (p protection, err *Error) {
	if s.kind == kindOpaque {
		return p, nil
	}
	if s.kind == kindDTLS {
		if by != SRTPPass || to != SRTPPass {
			return p, errNoSRTP // a DTLS handshake has to end at the other party
		}
		return p, nil
	}
	secured := isSAVP(s.proto)
	if by == SRTPSDES && !secured {
		return p, errNotSecured
	}
	p.out = to == SRTPSDES || to == SRTPPass && secured
	opens := by != SRTPPass || to != SRTPPass || converts && string(s.media) == "audio"
	p.ends = opens && (secured || p.out)
	p.bare = opens && !p.ends
	if p.ends && secured {
		var ok bool
		if p.in, ok = s.crypto(func(cryptoLine) bool { return true }); !ok {
			return p, errNoSRTP
		}
	}
	return p, nil
}

// kept is what a party that takes what comes is offered in a re-INVITE: what it has.
func (s *stream) kept(side Side) SRTP {
	if s.srtp[side] {
		return SRTPSDES
	}
	return SRTPOff
}

// offerCrypto shows the other party a line whose SRTP ends at us in the form it is to have.
func (p *protection) offerCrypto(line *shownLine, s *section, ring *keyRing) {
	line.rekeyed, line.proto = true, protoFor(s.proto, p.out)
	if p.out {
		for i, suite := range offeredSuites {
			line.crypto = appendCrypto(line.crypto, cryptoLine{i + 1, ring.of(suite)})
		}
	}
}

// refuse shows the offerer a line that the answer refuses, in the offerer's form. RFC 3264 §6.
func (p *protection) refuse(line *shownLine, s *section) {
	if p.ends {
		line.rekeyed, line.proto = true, protoFor(s.proto, p.in.tag != 0)
	}
}

// answerCrypto takes the answer to a line and shows the offerer its own form of it. It is false if the answer does not fit the
// offer; theirs is the answerer's key. RFC 4568 §5.1.2.
func (p *protection) answerCrypto(line *shownLine, s *section, of *stream, offerer Side) (theirs masterKey, ok bool) {
	if !p.ends {
		line.rekeyed = p.bare
		return masterKey{}, true
	}
	if isSAVP(s.proto) != p.out {
		return masterKey{}, false
	}
	if p.out {
		c, ok := s.crypto(func(c cryptoLine) bool {
			return c.tag <= len(offeredSuites) && offeredSuites[c.tag-1] == c.key.suite
		})
		if !ok {
			return masterKey{}, false
		}
		theirs = c.key
		of.ring(offerer.Other()).of(theirs.suite)
	}
	line.rekeyed, line.proto = true, protoFor(s.proto, p.in.tag != 0)
	if p.in.tag != 0 {
		line.crypto = appendCrypto(line.crypto, cryptoLine{p.in.tag, of.ring(offerer).of(p.in.key.suite)})
	}
	return theirs, true
}

// secure gives the plugs of a side their keys: theirs opens what the party sends, ours protects what it is sent. Zero keys mean
// plain RTP. A key that stays keeps its sealer, and with it the count of packets that RFC 3711 §3.3.1 relies on.
func (e *end) secure(theirs, ours masterKey) {
	for _, p := range [...]*plug{e.rtp, e.rtcp} {
		if p != nil {
			p.secure(theirs, ours)
		}
	}
}

func (p *plug) secure(theirs, ours masterKey) {
	for {
		r := p.route.Load()
		unseal, seal := r.unseal, r.seal
		switch {
		case theirs.suite == noSuite:
			unseal = nil
		case unseal == nil || unseal.key != theirs:
			unseal = newOpener(theirs).follow(unseal)
		}
		switch {
		case ours.suite == noSuite:
			seal = nil
		case seal == nil || seal.key != ours:
			seal = newSealer(ours)
		}
		if p.setSealers(r, unseal, seal) {
			return
		}
	}
}

// closeUntilKeyed lets nothing of a side pass until its keys are agreed: what it sends is protected, and what it is sent has to be.
func (e *end) closeUntilKeyed() {
	for _, p := range [...]*plug{e.rtp, e.rtcp} {
		for p != nil {
			if r := p.route.Load(); r.unseal != nil || p.setSealers(r, keyless, keyless) {
				break
			}
		}
	}
}

// setSealers publishes a route with other sealers in place of r; false if another one was published meanwhile.
func (p *plug) setSealers(r *route, unseal, seal *sealer) bool {
	if unseal == r.unseal && seal == r.seal {
		return true
	}
	next := *r
	next.unseal, next.seal = unseal, seal
	return p.route.CompareAndSwap(r, &next)
}
