package wire

import (
	"testing"
	"time"
)

func TestRAck(t *testing.T) {
	for _, test := range []struct {
		name, value string
		rseq, cseq  uint32
		ok          bool
	}{
		{"another method", "1 2 UPDATE", 0, 0, false},
		{"no blank", "12INVITE", 0, 0, false},
		{"one number", "1 INVITE", 0, 0, false},
		{"nothing", "", 0, 0, false},
		{"methods are case-sensitive", "1 2 invite", 0, 0, false},
		{"as RFC 3262 §7.2 has it", "776656 1 INVITE", 776656, 1, true},
		{"more blanks", "4294967295 \t 2  INVITE", 4294967295, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := messageWith(t, "PRACK", "RAck: "+test.value)
			if rseq, cseq, ok := m.RAck(); rseq != test.rseq || cseq != test.cseq || ok != test.ok {
				t.Errorf("%d %d %v", rseq, cseq, ok)
			}
		})
	}
}

func TestSessionExpires(t *testing.T) {
	for _, test := range []struct {
		name, lines string
		interval    time.Duration
		by          Refresher
		ok          bool
	}{
		{"none", "Subject: x", 0, NoRefresher, false},
		{"no number", "Session-Expires: soon", 0, NoRefresher, false},
		{"compact", "x: 90", 90 * time.Second, NoRefresher, true},
		{"refresher in any case, among others", "Session-Expires: 1800 ; foo=bar;Refresher=UAS", 1800 * time.Second, UAS, true},
		{"who asked", "Session-Expires: 1800;refresher=uac", 1800 * time.Second, UAC, true},
		{"a third one", "Session-Expires: 1800;refresher=b2b", 1800 * time.Second, NoRefresher, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := messageWith(t, "UPDATE", test.lines)
			if interval, by, ok := m.SessionExpires(); interval != test.interval || by != test.by || ok != test.ok {
				t.Errorf("%v %v %v", interval, by, ok)
			}
		})
	}
}

// messageWith is a request that parses, with further header lines.
func messageWith(t *testing.T, method, lines string) *Message {
	t.Helper()
	m := new(Message)
	if err := m.Parse([]byte(method + " sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=t\r\nTo: <sip:a@x>;tag=u\r\nCall-ID: 1\r\nCSeq: 1 " +
		method + "\r\nContact: <sip:b@x>\r\nMax-Forwards: 70\r\n" + lines + "\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return m
}
