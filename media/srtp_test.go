package media

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// keys of the parties in these tests; 30 bytes.
const (
	callersKey = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	calleesKey = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
	otherKey   = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
)

func secureLine(key string) string {
	return "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20\n"
}

// audioOf cuts out the audio line and what stands under it, with the keys that we made shown as KEY.
func audioOf(sdp string) string {
	_, audio, _ := strings.Cut(sdp, "m=audio ")
	_, audio, _ = strings.Cut(audio, " ")
	return regexp.MustCompile(`inline:\S+`).ReplaceAllString(audio, "inline:KEY")
}

const (
	offered  = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:KEY\n"
	answered = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\n"
)

// MED-11: what each side is shown, by what it is and what the other one is.
func TestProtectionOfEachSide(t *testing.T) {
	plain, secured := "RTP/AVP 0\n", "RTP/SAVP 0\n"
	tests := []struct {
		name           string
		caller, callee SRTP
		offer, shown   string
		answer, back   string
	}{
		{"plain caller, SRTP trunk", SRTPPass, SRTPSDES, plain, secured + offered, secured + secureLine(calleesKey), plain},
		{"the trunk takes the second suite", SRTPPass, SRTPSDES, plain, secured + offered,
			secured + "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + calleesKey + "\n", plain},
		{"SRTP caller, plain trunk", SRTPPass, SRTPOff, secured + secureLine(callersKey), plain, plain, secured + answered},
		{"SRTP on both sides, ended at us", SRTPSDES, SRTPSDES, secured + secureLine(callersKey), secured + offered,
			secured + secureLine(calleesKey), secured + answered},
		{"the first line of the caller that we can use", SRTPPass, SRTPOff,
			secured + "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" + callersKey + "|2^20|1:4\n" +
				"a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:" + callersKey + " UNENCRYPTED_SRTCP\na=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:" + callersKey + " WSH=60\n",
			plain, plain, secured + "a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:KEY\n"},
		{"keys that are not ours pass", SRTPPass, SRTPPass, secured + secureLine(callersKey), secured + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\n",
			secured + secureLine(calleesKey), secured + answered},
		{"feedback stays", SRTPPass, SRTPSDES, "RTP/AVPF 0\n", "RTP/SAVPF 0\n" + offered, "RTP/SAVPF 0\n" + secureLine(calleesKey), "RTP/AVPF 0\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			b.Peer(Caller, Terms{SRTP: test.caller})
			b.Peer(Callee, Terms{SRTP: test.callee})
			same(t, "the offer", audioOf(mustOffer(t, b, Caller, body("m=audio 4000 "+test.offer))), test.shown)
			back := mustAnswer(t, b, Callee, body("m=audio 5000 "+test.answer))
			same(t, "the answer", audioOf(back), test.back)
			again := mustAnswer(t, b, Callee, body("m=audio 5000 "+test.answer))
			same(t, "the same answer again, keys and version as well", again, back)
		})
	}
}

func TestProtectionThatDoesNotFitIs488(t *testing.T) {
	plain, secured := "m=audio 4000 RTP/AVP 0\n", "m=audio 4000 RTP/SAVP 0\n"
	tests := []struct {
		name           string
		caller, callee SRTP
		offer, answer  string
		want           *Error
	}{
		{"a trunk that must use SRTP offers plain RTP", SRTPSDES, SRTPPass, plain, "", errNotSecured},
		{"no line that we can use", SRTPPass, SRTPOff, secured + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\n", "", errNoSRTP},
		{"DTLS cannot end at us", SRTPPass, SRTPOff, "m=audio 4000 UDP/TLS/RTP/SAVP 0\n", "", errNoSRTP},
		{"a plain answer to SRTP", SRTPPass, SRTPSDES, plain, plain, errNoSRTP},
		{"an answer without a key", SRTPPass, SRTPSDES, plain, secured, errNoSRTP},
		{"an answer to another tag", SRTPPass, SRTPSDES, plain, secured + "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:" + calleesKey + "\n", errNoSRTP},
		{"an answer of another suite", SRTPPass, SRTPSDES, plain, secured + "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" + calleesKey + "\n", errNoSRTP},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			b.Peer(Caller, Terms{SRTP: test.caller})
			b.Peer(Callee, Terms{SRTP: test.callee})
			_, err := b.Offer(Caller, body(test.offer), nil)
			if test.answer != "" {
				if err != nil {
					t.Fatal(err)
				}
				_, err = b.Answer(Callee, body(test.answer), nil)
			}
			if err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// vault is the SRTP of a test's phone.
type vault struct {
	t        *testing.T
	out, in  *srtp.Context
	phone    *phone
	sequence uint16
	towards  netip.AddrPort
	last     []byte // sent, as it was on the wire
}

func cipher(t *testing.T, key string) *srtp.Context {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := srtp.CreateContext(raw[:16], raw[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// keyIn is the first key of a description.
func keyIn(t *testing.T, sdp []byte) string {
	t.Helper()
	found := regexp.MustCompile(`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:([^\s|]+)`).FindSubmatch(sdp)
	if found == nil {
		t.Fatalf("no key in:\n%s", sdp)
	}
	return string(found[1])
}

func (v *vault) speak(text string) {
	v.t.Helper()
	v.sequence++
	plain, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: v.sequence, Timestamp: uint32(v.sequence) * 160, SSRC: 9}, Payload: []byte(text)}).Marshal()
	if err != nil {
		v.t.Fatal(err)
	}
	if v.last, err = v.out.EncryptRTP(nil, plain, nil); err != nil {
		v.t.Fatal(err)
	}
	v.send(v.last)
}

func (v *vault) send(packet []byte) {
	v.t.Helper()
	if _, err := v.phone.rtp.WriteToUDPAddrPort(packet, v.towards); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) expect(text string) {
	v.t.Helper()
	buffer := make([]byte, 1500)
	v.phone.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _, err := v.phone.rtp.ReadFromUDPAddrPort(buffer)
	if err != nil {
		v.t.Fatalf("waiting for %q: %v", text, err)
	}
	plain, err := v.in.DecryptRTP(nil, buffer[:n], nil)
	if err != nil {
		v.t.Fatalf("%d bytes that our key does not open: %v", n, err)
	}
	if got := string(plain[12:]); got != text {
		v.t.Errorf("heard %q, want %q", got, text)
	}
}

// savp describes a phone that protects with the key.
func savp(p *phone, key string) []byte {
	return append([]byte(strings.Replace(string(p.sdp()), "RTP/AVP", "RTP/SAVP", 1)), secureLine(key)...)
}

// MED-11: a plain caller and a trunk with SRTP hear each other; what its key does not open, and replays, are dropped and
// teach the relay no source; a re-INVITE changes the key of one direction.
func TestPlainMeetsSRTP(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		t.Cleanup(c.bridge.Close)
		c.bridge.Peer(Callee, Terms{SRTP: SRTPSDES})
		c.offer(t, caller.sdp())
		v := &vault{t: t, phone: callee, out: cipher(t, calleesKey), in: cipher(t, keyIn(t, c.offerSent)), towards: c.forCallee}
		discarded := func(why Discard) uint64 { return c.bridge.Stats().Streams[0].From[Callee].Discarded[why] }

		v.speak("before the answer")
		eventually(t, "what comes before its key is dropped", func() bool { return discarded(Unauthentic) == 1 })
		c.answer(t, savp(callee, calleesKey))

		v.send([]byte("\x80\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x09plain intruder"))
		intruder := newPhone(t, "127.0.0.1")
		if _, err := intruder.rtp.WriteToUDPAddrPort([]byte("\x80\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x09garbage of a stranger"), c.forCallee); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both are dropped", func() bool { return discarded(Unauthentic) == 3 })

		v.speak("hello")
		caller.expect("hello")
		caller.speak(c.forCaller, "hi")
		v.expect("hi")
		v.send(v.last)
		eventually(t, "a replay is dropped", func() bool { return discarded(Unauthentic) == 4 })

		// The callee re-INVITEs with a new key; ours stays, and so does its count of packets.
		offer, err := c.bridge.Offer(Callee, savp(callee, otherKey), nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(offer), "crypto") || !strings.Contains(string(offer), "RTP/AVP ") {
			t.Errorf("the caller is offered\n%s", offer)
		}
		answer, err := c.bridge.Answer(Caller, caller.sdp(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if keyIn(t, answer) != keyIn(t, c.offerSent) {
			t.Error("our key changed with the callee's")
		}
		v.out = cipher(t, otherKey)
		v.speak("under the new key")
		caller.expect("under the new key")
		caller.speak(c.forCaller, "as before")
		v.expect("as before")
	})
}

// MED-11, MED-04: both sides have SRTP with keys of their own, and RTCP is protected too.
func TestSRTPOnBothSides(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		t.Cleanup(c.bridge.Close)
		c.bridge.Peer(Caller, Terms{SRTP: SRTPSDES})
		c.bridge.Peer(Callee, Terms{SRTP: SRTPSDES})
		c.offer(t, savp(caller, callersKey))
		c.answer(t, savp(callee, calleesKey))
		one := &vault{t: t, phone: caller, out: cipher(t, callersKey), in: cipher(t, keyIn(t, c.answerSent)), towards: c.forCaller}
		two := &vault{t: t, phone: callee, out: cipher(t, calleesKey), in: cipher(t, keyIn(t, c.offerSent)), towards: c.forCallee}
		if keyIn(t, c.answerSent) == keyIn(t, c.offerSent) {
			t.Error("both parties are sent packets under one key")
		}
		one.speak("hello")
		two.expect("hello")
		two.speak("hi")
		one.expect("hi")

		report, err := (&rtcp.SenderReport{SSRC: 9, PacketCount: 1}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := one.out.EncryptRTCP(nil, report, nil)
		if err != nil {
			t.Fatal(err)
		}
		to := netip.AddrPortFrom(c.forCaller.Addr(), c.forCaller.Port()+1)
		if _, err := caller.rtcp.WriteToUDPAddrPort(sealed, to); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1500)
		callee.rtcp.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, _, err := callee.rtcp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := two.in.DecryptRTCP(nil, buffer[:n], nil); err != nil || string(got) != string(report) {
			t.Errorf("the report came as %x (%v), want %x", got, err, report)
		}
	})
}

// A party that changes its SSRC without end fills no memory; one that sends several in turn (retransmissions of video beside it, RFC 4588
// §5.3, or digits) is heard for as long as it likes.
func TestSourcesOfSRTPAreBounded(t *testing.T) {
	packet := func(what packetClass, number int, ssrc uint32) []byte {
		b := make([]byte, 32, 32+sealRoom)
		b[0] = 0x80
		if what == rtcpPacket {
			b[1], b[3] = senderReport, 7
			binary.BigEndian.PutUint32(b[4:], ssrc)
			return b
		}
		binary.BigEndian.PutUint16(b[2:], uint16(number))
		binary.BigEndian.PutUint32(b[8:], ssrc)
		return b
	}
	for name, what := range map[string]packetClass{"RTP": rtpPacket, "RTCP": rtcpPacket} {
		t.Run(name, func(t *testing.T) {
			seal, open := newSealer(masterKey{aes80, callersKey}), newOpener(masterKey{aes80, callersKey})
			for i := range 4 * maxSources {
				sealed, ok := seal.seal(packet(what, i, uint32(i&1)), what)
				if !ok {
					t.Fatalf("packet %d of two sources in turn is not sealed", i)
				}
				if _, ok := open.open(sealed, what); !ok {
					t.Fatalf("packet %d of two sources in turn is not opened", i)
				}
			}
			for i := 2; i < maxSources+2; i++ {
				fresh := newSealer(masterKey{aes80, callersKey})
				sealed, ok := fresh.seal(packet(what, 1, uint32(i)), what)
				if !ok {
					t.Fatal("a new sealer has no room")
				}
				if _, ok := open.open(sealed, what); ok != (i < maxSources) {
					t.Fatalf("source %d opened: %v", i, ok)
				}
				if _, ok := seal.seal(packet(what, 1, uint32(i)), what); ok != (i < maxSources) {
					t.Fatalf("source %d sealed: %v", i, ok)
				}
			}
			if _, known := open.context.ROC(maxSources); known {
				t.Error("there is state of a source beyond the bound")
			}
			if _, known := open.context.Index(maxSources); known {
				t.Error("there is state of a source of reports beyond the bound")
			}
		})
	}
}

func TestSRTPAllocatesNothing(t *testing.T) {
	seal, open := newSealer(masterKey{aes80, callersKey}), newOpener(masterKey{aes80, callersKey})
	buffer := make([]byte, 172, 256)
	buffer[0], buffer[11] = 0x80, 1
	number := uint16(0)
	perPacket := testing.AllocsPerRun(1000, func() {
		number++
		buffer[2], buffer[3] = byte(number>>8), byte(number)
		sealed, ok := seal.seal(buffer[:172], rtpPacket)
		if !ok {
			t.Fatal("not sealed")
		}
		if _, ok := open.open(sealed, rtpPacket); !ok {
			t.Fatal("not opened")
		}
	})
	if perPacket > 0 && !raceDetector {
		t.Errorf("%v allocations per packet", perPacket)
	}
}

func BenchmarkSRTP(b *testing.B) {
	seal, open := newSealer(masterKey{aes80, callersKey}), newOpener(masterKey{aes80, callersKey})
	buffer := make([]byte, 172, 256)
	buffer[0], buffer[11] = 0x80, 1
	number := uint16(0)
	for b.Loop() {
		number++
		buffer[2], buffer[3] = byte(number>>8), byte(number)
		sealed, _ := seal.seal(buffer[:172], rtpPacket)
		open.open(sealed, rtpPacket)
	}
}

func FuzzCrypto(f *testing.F) {
	f.Add([]byte("1 AES_CM_128_HMAC_SHA1_80 inline:" + callersKey + "|2^20|1:4"))
	f.Add([]byte("1 AEAD_AES_256_GCM inline:x WSH=64"))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, ok := readCrypto(value)
		if !ok {
			return
		}
		line := appendCrypto(nil, c)
		again, ok := readCrypto([]byte(strings.TrimSuffix(strings.TrimPrefix(string(line), "a=crypto:"), "\r\n")))
		if !ok || again != c {
			t.Errorf("%q became %q", value, line)
		}
		if newSealer(c.key) == keyless {
			t.Errorf("%q was read, and cannot be used", value)
		}
	})
}

// MED-11: a party that takes a new key may begin to count its packets anew or go on (RFC 3711 §3.3.1); what it sent under the old key
// may come late; what was opened once is never opened again.
func TestNewKey_MED11(t *testing.T) {
	packet := func(number uint16) []byte {
		b := make([]byte, 20, 64)
		b[0] = 0x80
		binary.BigEndian.PutUint16(b[2:], number)
		b[11] = 9
		return b
	}
	sealed := func(c *srtp.Context, number uint16) []byte {
		out, err := c.EncryptRTP(nil, packet(number), nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	opens := func(s *sealer, b []byte) bool {
		out, ok := s.open(append(make([]byte, 0, 64), b...), rtpPacket)
		return ok && len(out) == 20
	}
	for name, test := range map[string]struct {
		last  uint16 // sent under the old key, by a count that has turned over once
		first uint16 // under the new one
		count uint32
	}{
		"anew":                     {2, 3, 0},
		"on":                       {2, 3, 1},
		"on, over the next turn":   {65535, 0, 2},
		"anew, from anywhere else": {2, 40000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			party, old := cipher(t, callersKey), newOpener(masterKey{aes80, callersKey})
			for _, number := range []uint16{65534, 65535, 0, 1} {
				if !opens(old, sealed(party, number)) {
					t.Fatalf("packet %d is not opened", number)
				}
			}
			for number := uint32(1000); number < uint32(test.last); number += 1000 {
				opens(old, sealed(party, uint16(number)))
			}
			late, last := sealed(party, test.last), sealed(party, test.last+1)
			opener := newOpener(masterKey{aes80, otherKey}).follow(old)
			if !opens(opener, late) || opens(opener, late) {
				t.Error("a packet under the old key is opened once while none has come under the new one")
			}
			party = cipher(t, otherKey)
			if test.count > 0 {
				party.SetROC(9, test.count)
			}
			first := sealed(party, test.first)
			if !opens(opener, first) || opens(opener, first) {
				t.Error("the first packet under the new key is opened once")
			}
			for number := test.first + 1; number != test.first+100; number++ {
				if !opens(opener, sealed(party, number)) {
					t.Fatalf("packet %d is not opened", number)
				}
			}
			if opens(opener, last) || opener.before.Load() != nil {
				t.Error("the old key still opens packets")
			}
		})
	}
}

// RINV-08, MED-11: who answers a refresh of its session with another address or key is reached there, and understood.
func TestRefreshedElsewhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee, moved := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		t.Cleanup(c.bridge.Close)
		c.bridge.Peer(Callee, Terms{SRTP: SRTPSDES})
		c.offer(t, caller.sdp())
		c.answer(t, savp(callee, calleesKey))
		v := &vault{t: t, phone: callee, out: cipher(t, calleesKey), in: cipher(t, keyIn(t, c.offerSent)), towards: c.forCallee}
		v.speak("hello")
		caller.expect("hello")

		for _, answer := range [][]byte{savp(callee, calleesKey), savp(moved, otherKey)} {
			if err := c.bridge.Refreshed(Callee, answer); err != nil {
				t.Fatal(err)
			}
		}
		v.phone, v.out = moved, cipher(t, otherKey)
		caller.speak(c.forCaller, "to the new place")
		v.expect("to the new place")
		v.speak("under the new key")
		caller.expect("under the new key")
		if c.bridge.Refreshed(Callee, []byte("nonsense")) == nil {
			t.Error("nonsense is an answer")
		}
		caller.speak(c.forCaller, "as before")
		v.expect("as before")
	})
}

// Keys that an offer has beside plain RTP (RFC 8643) do not reach a party that is to have none.
func TestKeysBesidePlainRTP(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	b.Peer(Callee, Terms{SRTP: SRTPOff})
	offer := mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"+secureLine(callersKey)))
	if strings.Contains(offer, "crypto") || !strings.Contains(offer, "RTP/AVP 0") {
		t.Errorf("offered\n%s", offer)
	}
}

// A line that a plain party refuses goes back to one with SRTP as what it was offered.
func TestRefusedLineBesideSRTP(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	b.Peer(Callee, Terms{SRTP: SRTPOff})
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/SAVP 0\n"+secureLine(callersKey)+"m=video 4002 RTP/SAVP 31\n"+secureLine(callersKey)))
	answer := mustAnswer(t, b, Callee, body("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 31\n"))
	if !strings.Contains(answer, "m=video 0 RTP/SAVP 31") {
		t.Errorf("answered\n%s", answer)
	}
}
