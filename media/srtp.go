package media

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// suite is a crypto-suite of RFC 4568 §6.2 or RFC 7714 §14.2 that we speak. 0 is none.
type suite uint8

const (
	noSuite suite = iota
	aes80
	aes32
	gcm128
	gcm256
	suiteCount
)

var suites = [suiteCount]struct {
	name      string
	profile   srtp.ProtectionProfile
	key, salt int // bytes
}{
	aes80:  {"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14},
	aes32:  {"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14},
	gcm128: {"AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm, 16, 12},
	gcm256: {"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm, 32, 12},
}

func suiteOf(name []byte) suite {
	for s := aes80; s < suiteCount; s++ {
		if string(name) == suites[s].name {
			return s
		}
	}
	return noSuite
}

// bytes is how long a master key of the suite is with its salt.
func (s suite) bytes() int { return suites[s].key + suites[s].salt }

// masterKey protects what one party sends. The zero value is none.
type masterKey struct {
	suite suite
	text  string // key and salt in base64, as a=crypto has them
}

// sealer protects, or opens, the packets of one direction of one plug. Whoever reads the jack they come in by is its only user.
// One without a key lets nothing pass.
type sealer struct {
	key     masterKey
	context *srtp.Context // nil: no key is agreed yet
	header  rtp.Header    // so that a packet costs no allocation
	control rtcp.Header
	ssrc    uint32   // of the last packet
	sources []uint32 // all SSRCs that came by

	before atomic.Pointer[sealer] // of the key before, until a packet comes under this one; nil: there was none
}

// keyless stands where SRTP is agreed on and its keys are not.
var keyless = new(sealer)

// maxSources bounds the SSRCs of one direction, since each needs memory for as long as the key lives.
const maxSources = 256

// newSealer readies a sealer; a key that cannot be used gives one that lets nothing pass, for it was checked when it was read.
func newSealer(key masterKey, options ...srtp.ContextOption) *sealer {
	raw, err := base64.StdEncoding.DecodeString(key.text)
	if err != nil || key.suite == noSuite || len(raw) != key.suite.bytes() {
		return keyless
	}
	split := suites[key.suite].key
	context, err := srtp.CreateContext(raw[:split], raw[split:], suites[key.suite].profile, options...)
	if err != nil {
		return keyless
	}
	return &sealer{key: key, context: context}
}

// replayWindow is how far packets may be out of order before they pass for replays. RFC 3711 §3.3.2 asks for 64 or more.
const replayWindow = 512

// newOpener readies a sealer that opens, and refuses replays.
func newOpener(key masterKey) *sealer {
	return newSealer(key, srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
}

// seal protects a packet in place, which grows. false: it must not be sent.
func (s *sealer) seal(packet []byte, what packetClass) (out []byte, ok bool) {
	ssrc := ssrcOf(packet, what)
	if s.context == nil || !s.admits(ssrc) {
		return nil, false
	}
	s.note(ssrc)
	var err error
	if what == rtcpPacket {
		out, err = s.context.EncryptRTCP(packet, packet, &s.control)
	} else {
		out, err = s.context.EncryptRTP(packet, packet, &s.header)
	}
	return out, err == nil
}

// open verifies and deciphers a packet in place. false: it is not of the party, or a replay.
func (s *sealer) open(packet []byte, what packetClass) (out []byte, ok bool) {
	ssrc := ssrcOf(packet, what)
	if s.context == nil || !s.admits(ssrc) {
		return nil, false
	}
	var err error
	if what == rtcpPacket {
		out, err = s.context.DecryptRTCP(packet, packet, &s.control)
	} else {
		if out, err = s.context.DecryptRTP(packet, packet, &s.header); err != nil {
			return s.openAcross(packet)
		}
		if s.before.Load() != nil {
			s.before.Store(nil)
		}
	}
	if err != nil {
		return nil, false
	}
	s.note(ssrc)
	return out, true
}

// openAcross opens a packet, while none has come under the key, that the key alone does not: one of a party whose count of packets
// goes on although its key is new, as RFC 3711 §3.3.1 wants it (many begin anew), or one that was sent under the key before.
func (s *sealer) openAcross(packet []byte) (out []byte, ok bool) {
	old := s.before.Load()
	if old == nil || s.key.suite >= gcm128 { // an attempt with GCM spoils the packet
		return nil, false
	}
	ssrc := ssrcOf(packet, rtpPacket)
	if count, known := old.context.ROC(ssrc); known {
		for _, roc := range [...]uint32{count, count + 1} { // it may have turned over in between
			s.context.SetROC(ssrc, roc)
			if out, err := s.context.DecryptRTP(packet, packet, &s.header); err == nil {
				s.before.Store(nil)
				s.note(ssrc)
				return out, true
			}
		}
		s.context.SetROC(ssrc, 0)
	}
	return old.open(packet, rtpPacket)
}

// follow says that s opens what a party sends from now on, in place of old. Of those before that, none is kept.
func (s *sealer) follow(old *sealer) *sealer {
	if old != nil && old.context != nil && s.context != nil {
		s.before.Store(old)
		old.before.Store(nil)
	}
	return s
}

// admits tells whether there is room for packets of an SSRC.
func (s *sealer) admits(ssrc uint32) bool {
	return len(s.sources) < maxSources || ssrc == s.ssrc || slices.Contains(s.sources, ssrc)
}

// note remembers an SSRC.
func (s *sealer) note(ssrc uint32) {
	if ssrc == s.ssrc && len(s.sources) > 0 {
		return
	}
	s.ssrc = ssrc
	if !slices.Contains(s.sources, ssrc) {
		s.sources = append(s.sources, ssrc)
	}
}

// ssrcOf is the SSRC of an RTP packet, or of the first sender in an RTCP packet. RFC 3550 §5.1, §6.4.
func ssrcOf(packet []byte, what packetClass) uint32 {
	if what == rtcpPacket {
		return binary.BigEndian.Uint32(packet[4:])
	}
	return binary.BigEndian.Uint32(packet[8:])
}
