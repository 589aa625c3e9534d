package sip_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icholy/digest"

	"trunkline/internal/siptest"
	"trunkline/sip"
	edgedigest "trunkline/sip/digest"
	"trunkline/sip/registrar"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// office is an edge with an agent that is known by digest alone, and whoever sits at the addresses it may come from.
type office struct {
	*world
	registrar *registrar.Registrar
	home      *siptest.Endpoint // where the agent is
	elsewhere *siptest.Endpoint
	log       siptest.Log
	cseq      int
}

// inOffice plays with an edge that offers the digests given, or those that it offers by itself.
func inOffice(t *testing.T, play func(o *office), digests ...edgedigest.Algorithm) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := loadConfig(t, `agents:
  - {name: mobile, auth_user: mobile, auth_password: open sesame}
  - {name: other, auth_user: other, auth_password: different}
numbers:
  - {number: "+15550001234", trunk: carrier, inbound_agent: mobile, outbound_agent: mobile}
  - {number: "+15550005678", trunk: carrier, inbound_agent: other, outbound_agent: other}
`)
		o := &office{world: newWorld(t), registrar: registrar.New(registrar.Options{})}
		o.home = o.net.Endpoint("home", transport.UDP, netip.MustParseAddrPort("198.51.100.7:40000"))
		o.elsewhere = o.net.Endpoint("elsewhere", transport.UDP, netip.MustParseAddrPort("203.0.113.9:41000"))
		log := slog.New(slog.NewTextHandler(&o.log, nil))
		o.run(c, sip.Options{Registrar: o.registrar, Realm: "office", Digests: digests, Log: log}, func() { play(o) })
	})
}

// request writes a request of the agent from an address; lines are further headers.
func (o *office) request(method, uri, branch, callID string, from *siptest.Endpoint, lines string) string {
	o.cseq++
	return fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK%s;rport\nMax-Forwards: 70\nFrom: <sip:+15550001234@office>;tag=f%s\n"+
		"To: <%[2]s>\nCall-ID: %[4]s\nCSeq: %[5]d %[1]s\nContact: <sip:mobile@10.0.0.5:5060>\n%[6]sContent-Length: 0\n\n",
		method, uri, branch, callID, o.cseq, lines)
}

// reply answers a request with its own headers.
func (o *office) reply(from *siptest.Endpoint, m *wire.Message, status int) {
	o.t.Helper()
	b := wire.AppendResponse(nil, m, status, wire.ReasonPhrase(status), []byte("theirs"), o.at)
	b = wire.AppendHeaderString(b, "Contact", "<sip:somebody@192.0.2.99>")
	if err := from.Send(o.at, wire.AppendBody(b, "", nil)); err != nil {
		o.t.Fatal(err)
	}
}

// credentials answers the first challenge of m as a user would.
func credentials(t *testing.T, m *wire.Message, method, uri, user, password string) string {
	t.Helper()
	challenge, err := digest.ParseChallenge(string(m.Get(wire.HWWWAuthenticate)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := digest.Digest(challenge, digest.Options{Method: method, URI: uri, Username: user, Password: password, Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: " + c.String() + "\n"
}

// signed sends a request, answers the challenge and returns what comes then.
func (o *office) signed(method, uri, callID, lines string, from *siptest.Endpoint, user, password string) *wire.Message {
	o.t.Helper()
	o.send(from, o.request(method, uri, callID+"a", callID, from, lines))
	challenge := o.next(from)
	if challenge.Status != 401 {
		o.t.Fatalf("%s without credentials: %d", method, challenge.Status)
	}
	proof := credentials(o.t, challenge, method, uri, user, password)
	o.send(from, o.request(method, uri, callID+"b", callID, from, lines+proof))
	return o.next(from)
}

// AUTH-08, REG as a server: an agent registers from behind a NAT with either algorithm, is called there, and goes.
func TestAgentRegisters_AUTH08(t *testing.T) {
	inOffice(t, func(o *office) {
		o.call(1, "+15550001234")
		if status := o.final(o.carrier); status != 480 {
			t.Errorf("a call to an agent that is nowhere: %d", status)
		}
		granted := o.signed("REGISTER", "sip:office", "reg1", "Expires: 600\n", o.home, "mobile", "open sesame")
		if granted.Status != 200 || string(granted.Get(wire.HContact)) != "<sip:mobile@10.0.0.5:5060>;expires=600" {
			t.Fatalf("got %d with %q", granted.Status, granted.Get(wire.HContact))
		}
		if n := len(o.registrar.Bindings("mobile", time.Now())); n != 1 {
			t.Fatalf("%d bindings", n)
		}
		o.call(2, "+15550001234")
		invite := o.next(o.home)
		if invite.Method != wire.INVITE || string(invite.URI) != "sip:mobile@10.0.0.5:5060" || !strings.Contains(string(invite.To.URI), "+15550001234") {
			t.Errorf("the agent gets %s %s, To %s", invite.Method, invite.URI, invite.To.URI)
		}
		o.reply(o.home, invite, 486)
		if status := o.final(o.carrier); status != 486 {
			t.Errorf("its answer became %d", status)
		}
		if ack := o.next(o.home); ack.Method != wire.ACK {
			t.Errorf("then %s", ack.Method)
		}
		gone := o.signed("REGISTER", "sip:office", "reg1", "Expires: 0\n", o.home, "mobile", "open sesame")
		if gone.Status != 200 || gone.Has(wire.HContact) {
			t.Errorf("got %d with %q", gone.Status, gone.Get(wire.HContact))
		}
		o.call(3, "+15550001234")
		if status := o.final(o.carrier); status != 480 {
			t.Errorf("a call after it went: %d", status)
		}
	})
}

// A call that is asked for rings the agent where it has registered, over the same flow and for its own number.
func TestOriginateToWhereTheAgentRegistered(t *testing.T) {
	inOffice(t, func(o *office) {
		if granted := o.signed("REGISTER", "sip:office", "reg1", "Expires: 600\n", o.home, "mobile", "open sesame"); granted.Status != 200 {
			t.Fatalf("got %d", granted.Status)
		}
		id, err := o.edge.Originate(o.t.Context(), sip.Origination{Agent: "mobile", From: "+15550001234", To: "+493012345"})
		if err != nil {
			t.Fatal(err)
		}
		invite := o.wantMethod(o.next(o.home), wire.INVITE)
		if string(invite.URI) != "sip:mobile@10.0.0.5:5060" || !strings.Contains(string(invite.To.URI), "+15550001234") || !strings.Contains(string(invite.From.URI), "+493012345") {
			t.Errorf("the INVITE to the agent:\n%s", invite.Bytes)
		}
		o.accept(o.home, invite)
		out := o.wantMethod(o.next(o.carrier), wire.INVITE)
		o.answer(o.carrier, out, 200, numberAnswer)
		if ack := o.wantMethod(o.next(o.home), wire.ACK); string(ack.Body) != numberAnswer {
			t.Errorf("the ACK to the agent:\n%s", ack.Bytes)
		}
		o.wantMethod(o.next(o.carrier), wire.ACK)
		time.Sleep(10 * time.Second)
		if found, err := o.edge.HangUp(o.t.Context(), id); !found || err != nil {
			t.Errorf("hang up: %v %v", found, err)
		}
		o.answer(o.home, o.wantMethod(o.next(o.home), wire.BYE), 200, "")
		o.answer(o.carrier, o.wantMethod(o.next(o.carrier), wire.BYE), 200, "")
		time.Sleep(2 * time.Minute)
		if r := o.records; len(r) != 1 || r[0].Outcome != "answered" || r[0].Agent != "mobile" {
			t.Errorf("records %+v", r)
		}
	})
}

// It goes on to the agent's next telephone, and one that answers although the call was given up meanwhile gets its ACK and BYE.
func TestOriginationIsGivenUp(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.elsewhere, "10.0.0.6")
		time.Sleep(time.Second)
		o.registerPhone(o.home, "10.0.0.5")
		id, err := o.edge.Originate(o.t.Context(), sip.Origination{Agent: "mobile", From: "+15550001234", To: "+493012345"})
		if err != nil {
			t.Fatal(err)
		}
		o.reply(o.home, o.wantMethod(o.next(o.home), wire.INVITE), 480)
		o.wantMethod(o.next(o.home), wire.ACK)
		invite := o.wantMethod(o.next(o.elsewhere), wire.INVITE)
		o.reply(o.elsewhere, invite, 180)
		time.Sleep(time.Second)
		if found, err := o.edge.HangUp(o.t.Context(), id); !found || err != nil {
			t.Errorf("hang up: %v %v", found, err)
		}
		cancel := o.wantMethod(o.next(o.elsewhere), wire.CANCEL)
		o.accept(o.elsewhere, invite)
		o.reply(o.elsewhere, cancel, 200)
		o.wantMethod(o.next(o.elsewhere), wire.ACK)
		o.reply(o.elsewhere, o.wantMethod(o.next(o.elsewhere), wire.BYE), 200)
		time.Sleep(2 * time.Minute)
		if r := o.records; len(r) != 1 || r[0].Outcome == "answered" || o.edge.Calls() != 0 {
			t.Errorf("records %+v, %d calls", r, o.edge.Calls())
		}
	})
}

// A call that is asked for goes on to the agent's other telephone when the first is busy.
func TestOriginateGoesOnToTheNextPhone(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.elsewhere, "10.0.0.6")
		time.Sleep(time.Second)
		o.registerPhone(o.home, "10.0.0.5")
		if _, err := o.edge.Originate(o.t.Context(), sip.Origination{Agent: "mobile", From: "+15550001234", To: "+493012345"}); err != nil {
			t.Fatal(err)
		}
		o.reply(o.home, o.wantMethod(o.next(o.home), wire.INVITE), 486)
		o.wantMethod(o.next(o.home), wire.ACK)
		o.reply(o.elsewhere, o.wantMethod(o.next(o.elsewhere), wire.INVITE), 486)
		time.Sleep(2 * time.Minute)
		if r := o.records; len(r) != 1 || r[0].Code != 486 {
			t.Errorf("records %+v", r)
		}
	})
}

// An agent that is nowhere registered and has no destination cannot be called, and the record says so.
func TestOriginateToWhoIsNotRegistered(t *testing.T) {
	inOffice(t, func(o *office) {
		if _, err := o.edge.Originate(o.t.Context(), sip.Origination{Agent: "mobile", From: "+15550001234", To: "+493012345"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if r := o.records; len(r) != 1 || r[0].Code != 480 {
			t.Errorf("records %+v", r)
		}
	})
}

// registerPhone registers the agent from an address as a phone that sits there.
func (o *office) registerPhone(from *siptest.Endpoint, host string) {
	o.t.Helper()
	write := func(branch, lines string) string {
		return strings.ReplaceAll(o.request("REGISTER", "sip:office", branch+host, "reg-"+host, from, "Expires: 600\n"+lines), "10.0.0.5", host)
	}
	o.send(from, write("a", ""))
	o.send(from, write("b", credentials(o.t, o.next(from), "REGISTER", "sip:office", "mobile", "open sesame")))
	if m := o.next(from); m.Status != 200 {
		o.t.Fatalf("%s: %d", host, m.Status)
	}
}

// An agent has two phones: a call that one of them does not take rings the other, and what the one said is the answer where the other is
// not there. RFC 3261 §16.7.
func TestCallGoesOnToTheNextPhone(t *testing.T) {
	for _, test := range []struct {
		name          string
		first, second int // 0: nothing
		status        int
	}{
		{"the first one is busy", 486, 480, 480},
		{"the first one says it is not there", 480, 486, 486},
		{"the first one is busy and the second one gone", 486, 0, 486},
		{"the first one is gone", 0, 486, 486},
		{"the first one fails", 500, 486, 486},
		{"the first one speaks for all", 603, 0, 603},
	} {
		t.Run(test.name, func(t *testing.T) {
			inOffice(t, func(o *office) {
				o.registerPhone(o.elsewhere, "10.0.0.6")
				time.Sleep(time.Second)
				o.registerPhone(o.home, "10.0.0.5")
				o.call(1, "+15550001234")
				first := o.wantMethod(o.next(o.home), wire.INVITE)
				if test.first > 0 {
					o.reply(o.home, first, test.first)
				} else {
					time.Sleep(4100 * time.Millisecond)
				}
				if test.first < 600 {
					second := o.wantMethod(o.next(o.elsewhere), wire.INVITE)
					if string(second.URI) != "sip:mobile@10.0.0.6:5060" {
						t.Errorf("the second phone gets %s", second.URI)
					}
					if test.second > 0 {
						o.reply(o.elsewhere, second, test.second)
					} else {
						time.Sleep(35 * time.Second)
					}
				}
				if status := o.final(o.carrier); status != test.status {
					t.Errorf("the caller hears %d", status)
				}
			})
		})
	}
}

// A phone that the call has left does not draw the call to itself by what it still says, wherever it says that.
func TestPhoneThatWasLeftIsNotFollowed_SEC04(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.elsewhere, "10.0.0.6")
		time.Sleep(time.Second)
		o.registerPhone(o.home, "10.0.0.5")
		o.call(1, "+15550001234")
		left := o.wantMethod(o.next(o.home), wire.INVITE)
		o.reply(o.home, left, 180)
		if m := o.next(o.carrier); m.Status != 100 && m.Status != 180 {
			t.Errorf("the caller hears %d", m.Status)
		}
		o.reply(o.home, left, 480)
		invite := o.wantMethod(o.next(o.elsewhere), wire.INVITE)
		o.accept(o.elsewhere, invite)
		if status := o.final(o.carrier); status != 200 {
			t.Fatalf("the call became %d", status)
		}
		o.send(o.carrier, o.fromCarrier("ACK", 1, 1, numberAnswer))
		o.wantMethod(o.next(o.elsewhere), wire.ACK)

		o.wantMethod(o.next(o.home), wire.ACK)
		o.send(o.home, o.inside(left, "INFO", "late1", "", ""))
		proof := credentials(t, o.next(o.home), "INFO", "sip:"+o.at.String(), "mobile", "open sesame")
		o.send(o.home, o.inside(left, "INFO", "late2", proof, ""))
		if m := o.next(o.home); m.Status != 481 {
			t.Errorf("an INFO of the phone that was left: %d", m.Status)
		}
		o.send(o.carrier, o.fromCarrier("BYE", 1, 2, ""))
		o.reply(o.elsewhere, o.wantMethod(o.next(o.elsewhere), wire.BYE), 200)
		if status := o.final(o.carrier); status != 200 {
			t.Errorf("the BYE: %d", status)
		}
	})
}

// A phone that went without saying so is not there; that is no failure of the edge, for which a carrier would pass the edge over.
func TestPhoneThatIsGoneIsNotThere(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.home, "10.0.0.5")
		o.home.Refuse()
		o.call(1, "+15550001234")
		if status := o.final(o.carrier); status != 480 {
			t.Errorf("the caller hears %d", status)
		}
		time.Sleep(time.Second)
		if r := o.records; len(r) != 1 || r[0].Outcome != "no_answer" || r[0].Reason != "gone" {
			t.Errorf("records %+v", r)
		}
	})
}

// An agent that takes over a call is reached where it speaks from, too, whatever its Contact says.
func TestAgentTakesOver_AUTH08(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.home, "10.0.0.5")
		o.call(1, "+15550001234")
		invite := o.wantMethod(o.next(o.home), wire.INVITE)
		o.accept(o.home, invite)
		if status := o.final(o.carrier); status != 200 {
			t.Fatalf("the call became %d", status)
		}
		o.send(o.carrier, o.fromCarrier("ACK", 1, 1, numberAnswer))
		o.wantMethod(o.next(o.home), wire.ACK)

		uri := "sip:+15550001234@office"
		lines := fmt.Sprintf("Replaces: %s;to-tag=%s;from-tag=theirs\n", invite.CallID, invite.From.Tag)
		write := func(branch, lines string) string {
			m := o.request("INVITE", uri, branch, "over", o.elsewhere, lines+"Content-Type: application/sdp\n")
			m = strings.ReplaceAll(m, "10.0.0.5", "192.0.2.77")
			return strings.Replace(m, "Content-Length: 0\n\n", fmt.Sprintf("Content-Length: %d\n\n", len(agentOffer))+strings.ReplaceAll(agentOffer, "\r\n", "\n"), 1)
		}
		o.send(o.elsewhere, write("over1", lines))
		o.send(o.elsewhere, write("over2", lines+credentials(t, o.next(o.elsewhere), "INVITE", uri, "mobile", "open sesame")))
		o.answer(o.carrier, o.wantMethod(o.next(o.carrier), wire.INVITE), 200, numberAnswer)
		o.wantMethod(o.next(o.carrier), wire.ACK)
		if status := o.final(o.elsewhere); status != 200 {
			t.Fatalf("the call that takes over became %d", status)
		}
		o.reply(o.home, o.wantMethod(o.next(o.home), wire.BYE), 200)
		o.send(o.carrier, o.fromCarrier("BYE", 1, 2, ""))
		if status := o.final(o.carrier); status != 200 {
			t.Errorf("the BYE: %d", status)
		}
		time.Sleep(40 * time.Second) // no ACK came, so that the BYE to who took over waits for its time
		for {
			m := o.next(o.elsewhere)
			if m.Method == wire.BYE {
				o.reply(o.elsewhere, m, 200)
				break
			}
			if m.Status != 200 {
				t.Fatalf("who took over gets\n%s", m.Bytes)
			}
		}
	})
}

// A phone that was switched off stays registered until its time is up: only the first call waits for it.
func TestPhoneThatIsGoneComesLast(t *testing.T) {
	inOffice(t, func(o *office) {
		o.registerPhone(o.elsewhere, "10.0.0.6")
		time.Sleep(time.Second)
		o.registerPhone(o.home, "10.0.0.5")
		for n := range 2 {
			o.call(n+1, "+15550001234")
			if n == 0 {
				time.Sleep(4100 * time.Millisecond) // home is silent
			}
			o.reply(o.elsewhere, o.wantMethod(o.next(o.elsewhere), wire.INVITE), 603)
			if status := o.final(o.carrier); status != 603 {
				t.Errorf("call %d: the caller hears %d", n+1, status)
			}
			o.wantMethod(o.next(o.elsewhere), wire.ACK)
			time.Sleep(5 * time.Second)
		}
	})
}

// AUTH-08: a phone that cannot choose between two digests is offered the one that the edge was told to ask for.
func TestOneDigestIsOffered_AUTH08(t *testing.T) {
	for _, algorithm := range []edgedigest.Algorithm{edgedigest.MD5, edgedigest.SHA256} {
		inOffice(t, func(o *office) {
			o.send(o.home, o.request("REGISTER", "sip:office", "d1", "d", o.home, ""))
			challenge := string(o.next(o.home).Bytes)
			if strings.Count(challenge, "WWW-Authenticate: ") != 1 || !strings.Contains(challenge, "algorithm="+algorithm.String()+",") {
				t.Errorf("%s:\n%s", algorithm, challenge)
			}
			if granted := o.signed("REGISTER", "sip:office", "d2", "Expires: 600\n", o.home, "mobile", "open sesame"); granted.Status != 200 {
				t.Errorf("%s: %d", algorithm, granted.Status)
			}
		}, algorithm)
	}
}

// accept answers an INVITE of the edge as the agent behind its NAT, whose Contact something on the way has made worse.
func (o *office) accept(from *siptest.Endpoint, m *wire.Message) {
	o.t.Helper()
	b := wire.AppendResponse(nil, m, 200, "OK", []byte("theirs"), netip.AddrPort{})
	b = append(b, "Contact: <sip:mobile@192.0.2.77:5060>\r\n"...)
	if err := from.Send(o.at, wire.AppendBody(b, "application/sdp", []byte(agentOffer))); err != nil {
		o.t.Fatal(err)
	}
}

// inside writes a request of the agent in the dialog of an INVITE that it has answered.
func (o *office) inside(invite *wire.Message, method, branch, lines string, body string) string {
	o.cseq++
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK%s;rport\nMax-Forwards: 70\nFrom: <%s>;tag=theirs\n"+
		"To: <%s>;tag=%s\nCall-ID: %s\nCSeq: %[8]d %[1]s\nContact: <sip:mobile@10.0.0.5:5060>\n%[9]s%[10]sContent-Length: %[11]d\n\n",
		method, "sip:"+o.at.String(), branch, invite.To.URI, invite.From.URI, invite.From.Tag, invite.CallID, o.cseq, lines, kind, len(body)) +
		strings.ReplaceAll(body, "\r\n", "\n")
}

// fromCarrier writes a request of the carrier in the dialog of its nth call.
func (o *office) fromCarrier(method string, n, cseq int, body string) string {
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\n"
	}
	return fmt.Sprintf("%[1]s sip:192.0.2.1:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK%[1]s%[2]d;rport\nMax-Forwards: 70\n"+
		"From: <sip:+14155550199@192.0.2.20>;tag=c%[2]d\nTo: <sip:+15550001234@192.0.2.1>;tag=%[3]s\nCall-ID: call-%[2]d\nCSeq: %[4]d %[1]s\n%[5]sContent-Length: %[6]d\n\n",
		method, n, o.lastTag, cseq, kind, len(body)) + strings.ReplaceAll(body, "\r\n", "\n")
}

// An agent behind a NAT hears everything of its call where it speaks from: its ACK, also when its NAT takes another port for it, and, once it
// has proven itself there, in another network. From there nobody else changes anything.
func TestAgentIsFollowed_AUTH08(t *testing.T) {
	inOffice(t, func(o *office) {
		if granted := o.signed("REGISTER", "sip:office", "reg1", "Expires: 600\n", o.home, "mobile", "open sesame"); granted.Status != 200 {
			t.Fatalf("got %d", granted.Status)
		}
		o.call(2, "+15550001234")
		invite := o.wantMethod(o.next(o.home), wire.INVITE)
		o.accept(o.home, invite)
		if status := o.final(o.carrier); status != 200 {
			t.Fatalf("the call became %d", status)
		}
		o.send(o.carrier, o.fromCarrier("ACK", 2, 1, numberAnswer))
		o.wantMethod(o.next(o.home), wire.ACK)

		rebound := o.net.Endpoint("rebound", transport.UDP, netip.MustParseAddrPort("198.51.100.7:40001"))
		o.send(rebound, o.inside(invite, "INFO", "i1", "", ""))
		info := o.wantMethod(o.next(o.carrier), wire.INFO)
		o.reply(o.carrier, info, 200)
		if m := o.next(rebound); m.Status != 200 {
			t.Errorf("an INFO from another port of its NAT: %d", m.Status)
		}
		o.send(o.carrier, o.fromCarrier("INFO", 2, 2, ""))
		o.reply(rebound, o.wantMethod(o.next(rebound), wire.INFO), 200)
		o.next(o.carrier)

		for _, wrong := range []string{"", "Authorization: Digest username=\"other\", realm=\"office\", nonce=\"x\", uri=\"sip:x\", response=\"00000000000000000000000000000000\"\n"} {
			o.send(o.elsewhere, o.inside(invite, "BYE", fmt.Sprint("b", len(wrong)), wrong, ""))
			if m := o.next(o.elsewhere); m.Status != 401 && m.Status != 403 {
				t.Errorf("a BYE of who does not prove itself: %d", m.Status)
			}
		}
		uri := "sip:" + o.at.String()
		for i, user := range []string{"other", "mobile"} {
			password := map[string]string{"other": "different", "mobile": "open sesame"}[user]
			o.send(o.elsewhere, o.inside(invite, "INVITE", fmt.Sprint("m", i), "", agentOffer))
			challenge := o.next(o.elsewhere)
			if challenge.Status != 401 {
				t.Fatalf("a re-INVITE from another network: %d", challenge.Status)
			}
			o.send(o.elsewhere, o.inside(invite, "INVITE", fmt.Sprint("n", i), credentials(t, challenge, "INVITE", uri, user, password), agentOffer))
			if user == "other" {
				if m := o.next(o.elsewhere); m.Status != 481 {
					t.Errorf("a re-INVITE of another agent: %d", m.Status)
				}
				o.send(o.elsewhere, strings.ReplaceAll(o.inside(invite, "ACK", "n0", "", ""), fmt.Sprintf("CSeq: %d", o.cseq), fmt.Sprintf("CSeq: %d", o.cseq-1)))
			}
		}
		o.answer(o.carrier, o.wantMethod(o.next(o.carrier), wire.INVITE), 200, numberAnswer)
		if status := o.final(o.elsewhere); status != 200 {
			t.Fatalf("the re-INVITE from another network became %d", status)
		}
		o.wantMethod(o.next(o.carrier), wire.ACK)
		o.send(o.elsewhere, strings.Replace(o.inside(invite, "ACK", "ack", "", ""), fmt.Sprintf("CSeq: %d", o.cseq), fmt.Sprintf("CSeq: %d", o.cseq-1), 1))
		time.Sleep(time.Second)
		o.send(o.carrier, o.fromCarrier("BYE", 2, 3, ""))
		o.reply(o.elsewhere, o.wantMethod(o.next(o.elsewhere), wire.BYE), 200)
		if m := o.next(o.carrier); m.Status != 200 {
			t.Errorf("the BYE: %d", m.Status)
		}
		time.Sleep(2 * time.Minute)
		if r := o.records; len(r) != 1 || r[0].Outcome != "answered" {
			t.Errorf("records %+v", r)
		}
	})
}

// SEC-01: a wrong password, an unknown user and somebody else's name look alike; a request that was copied does nothing.
func TestNobodyLearnsWhoRegisters_SEC01(t *testing.T) {
	inOffice(t, func(o *office) {
		wrong := o.signed("REGISTER", "sip:office", "w1", "Expires: 600\n", o.home, "mobile", "guess")
		unknown := o.signed("REGISTER", "sip:office", "w2", "Expires: 600\n", o.home, "nobody", "guess")
		if wrong.Status != 403 || unknown.Status != 403 || shape(wrong) != shape(unknown) {
			t.Errorf("a wrong password is told from an unknown user:\n%s\n%s", wrong.Bytes, unknown.Bytes)
		}
		if granted := o.signed("REGISTER", "sip:office", "w3", "Expires: 600\n", o.home, "mobile", "open sesame"); granted.Status != 200 {
			t.Fatalf("got %d", granted.Status)
		}

		// A listener sends the same credentials in a request of its own, from the agent's address and from another.
		o.send(o.home, o.request("REGISTER", "sip:office", "p1", "replay", o.home, "Expires: 0\n"))
		proof := credentials(t, o.next(o.home), "REGISTER", "sip:office", "mobile", "open sesame")
		first := o.request("REGISTER", "sip:office", "p2", "replay", o.home, "Expires: 700\n"+proof)
		o.send(o.home, first)
		if m := o.next(o.home); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		for i, from := range []*siptest.Endpoint{o.home, o.elsewhere} {
			o.send(from, o.request("REGISTER", "sip:office", fmt.Sprint("p3", i), "replay", from, "Expires: 0\n"+proof))
			if m := o.next(from); m.Status != 401 || !bytes.Contains(m.Get(wire.HWWWAuthenticate), []byte("stale=true")) {
				t.Errorf("used again, address %d: %d", i, m.Status)
			}
		}
		if n := o.registrar.Count("mobile", time.Now()); n != 1 {
			t.Errorf("%d bindings after the replay", n)
		}
		o.send(o.elsewhere, strings.Replace(o.request("BYE", "sip:office", "b1", "bye", o.elsewhere, ""), "To: <sip:office>", "To: <sip:office>;tag=x", 1))
		if m := o.next(o.elsewhere); m.Status != 403 {
			t.Errorf("a BYE of a stranger: %d", m.Status)
		}
	})
}

// What nobody outside is told stands in the log: which half of the credentials is wrong. A password stands nowhere.
func TestWrongCredentialsAreLogged(t *testing.T) {
	for _, test := range []struct{ name, user, want string }{
		{"a wrong password", "mobile", `user=mobile cause="they do not fit auth_password of agent mobile"`},
		{"an unknown user", "mobil", `user=mobil cause="no agent has this auth_user"`},
		{"a line of a stranger", "x\\ny " + strings.Repeat("z", 100), `user="x\\ny ` + strings.Repeat("z", 59) + `" cause=`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inOffice(t, func(o *office) {
				o.signed("REGISTER", "sip:office", "w1", "Expires: 600\n", o.home, test.user, "guess")
				log := o.log.String()
				if !strings.Contains(log, "source=198.51.100.7 method=REGISTER "+test.want) || strings.Contains(log, "guess") || strings.Contains(log, "sesame") {
					t.Errorf("the log says:\n%s", log)
				}
			})
		})
	}
}

// A phone that always comes back from another port uses up the places of its agent: it is refused, and the log says why.
func TestTooManyPhonesAreLogged(t *testing.T) {
	inOffice(t, func(o *office) {
		for n := range 10 {
			o.registerPhone(o.home, fmt.Sprint("10.0.1.", n))
		}
		if strings.Contains(o.log.String(), "level=WARN") {
			t.Errorf("the log complains too early:\n%s", o.log.String())
		}
		if m := o.signed("REGISTER", "sip:office", "reg1", "Expires: 600\n", o.home, "mobile", "open sesame"); m.Status != 403 {
			t.Errorf("the eleventh phone gets %d", m.Status)
		}
		if log := o.log.String(); !strings.Contains(log, `agent=mobile source=198.51.100.7 cause="it is registered at sip.registrar.contacts places"`) {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

// shape is a response without what differs from request to request.
func shape(m *wire.Message) string {
	var names []string
	for _, h := range m.Headers {
		names = append(names, string(h.Name))
	}
	return fmt.Sprint(m.Status, string(m.Reason), names)
}

// AUTH-08: an agent calls out from wherever it is, with its own numbers alone, and may give up.
func TestAgentCallsFromAnywhere_AUTH08(t *testing.T) {
	inOffice(t, func(o *office) {
		const uri = "sip:+14155550100@office"
		if m := o.signed("INVITE", uri, "out1", "", o.home, "mobile", "open sesame"); m.Status != 100 {
			t.Fatalf("got %d", m.Status)
		}
		invite := o.next(o.carrier)
		if invite.Method != wire.INVITE || invite.Has(wire.HAuthorization) {
			t.Fatalf("the carrier gets\n%s", invite.Bytes)
		}
		o.reply(o.carrier, invite, 180)
		if m := o.next(o.home); m.Status != 180 {
			t.Fatalf("got %d", m.Status)
		}
		cancel := o.request("CANCEL", uri, "out1b", "out1", o.home, "")
		o.send(o.elsewhere, strings.Replace(cancel, "branch=z9hG4bKout1b", "branch=z9hG4bKguess", 1))
		if m := o.next(o.elsewhere); m.Status != 403 {
			t.Errorf("a CANCEL of a stranger: %d", m.Status)
		}
		o.send(o.home, strings.Replace(cancel, "CSeq: 3 ", "CSeq: 2 ", 1))
		seen := map[int]bool{o.next(o.home).Status: true, o.next(o.home).Status: true}
		if !seen[200] || !seen[487] {
			t.Errorf("a CANCEL got %v", seen)
		}

		// The other agent may not use this number.
		if m := o.signed("INVITE", uri, "out2", "", o.elsewhere, "other", "different"); m.Status != 403 && m.Status != 100 {
			t.Errorf("got %d", m.Status)
		} else if m.Status == 100 && o.final(o.elsewhere) != 403 {
			t.Error("a number of another agent was let through")
		}
	})
}

// SEC-05: a scanner is answered at its own rate, whatever it sends, and an agent beside it registers all the same.
func TestScannerUsesUpItsOwnShare_SEC05(t *testing.T) {
	for _, method := range []string{"REGISTER", "SUBSCRIBE", "BYE"} {
		inOffice(t, func(o *office) {
			for i := range 2000 {
				o.send(o.elsewhere, o.request(method, "sip:office", fmt.Sprintf("s%d", i), fmt.Sprintf("scan%d", i), o.elsewhere, "Expires: 600\n"))
			}
			answered := 0
			for {
				if _, ok := o.elsewhere.Receive(10 * time.Millisecond); !ok {
					break
				}
				answered++
			}
			if answered == 0 || answered > 60 {
				t.Errorf("%d of 2000 %s were answered", answered, method)
			}
			o.send(o.home, o.request("REGISTER", "sip:office", "regA", "reg", o.home, "Expires: 600\n"))
			if _, ok := o.home.Receive(10 * time.Millisecond); !ok {
				t.Errorf("beside a scanner with %s an agent is not even challenged", method)
			}
			if m := o.signed("REGISTER", "sip:office", "reg", "Expires: 600\n", o.home, "mobile", "open sesame"); m.Status != 200 {
				t.Errorf("the agent beside it: %d", m.Status)
			}
		})
	}
}

// IDN-11: an agent behind a changing address may call for help although a scanner beside it has used up what strangers are answered.
func TestCallForHelpBesideAScanner_IDN11(t *testing.T) {
	inOffice(t, func(o *office) {
		for i := range 2000 {
			o.send(o.elsewhere, o.request("REGISTER", "sip:office", fmt.Sprintf("s%d", i), fmt.Sprintf("scan%d", i), o.elsewhere, "Expires: 600\n"))
		}
		for range 2000 {
			if _, ok := o.elsewhere.Receive(10 * time.Millisecond); !ok {
				break
			}
		}
		o.send(o.elsewhere, o.request("INVITE", "sip:+14155550100@office", "late", "late", o.elsewhere, ""))
		if _, ok := o.elsewhere.Receive(10 * time.Millisecond); ok {
			t.Error("any call without credentials is answered beside the scanner, so that the one below shows nothing")
		}
		if m := o.signed("INVITE", "urn:service:sos", "help", "", o.elsewhere, "mobile", "open sesame"); m.Status != 100 {
			t.Errorf("a call for help got %d", m.Status)
		}
		if m := o.next(o.carrier); m.Method != wire.INVITE || string(m.URI) != "urn:service:sos" {
			t.Errorf("the carrier got\n%s", m.Bytes)
		}
	})
}
