package dialog

import (
	"strings"
	"testing"
	"time"

	"trunkline/sip/wire"
)

func message(t *testing.T, start, lines string) *wire.Message {
	t.Helper()
	method := "INVITE"
	m := new(wire.Message)
	if err := m.Parse([]byte(start + "\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=t\r\nTo: <sip:a@x>;tag=u\r\nCall-ID: 1\r\nCSeq: 1 " + method +
		"\r\nContact: <sip:b@x>\r\nMax-Forwards: 70\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return m
}

// TMR-01, TMR-02, TMR-06: RFC 4028 §9, table 2.
func TestSessionAccepted(t *testing.T) {
	usual := SessionPolicy{Expires: 30 * time.Minute, Min: 90 * time.Second}
	theirs, ours := Session{Interval: 30 * time.Minute, Named: true}, Session{Interval: 30 * time.Minute, Named: true, Ours: true}
	for _, test := range []struct {
		name   string
		policy SessionPolicy
		now    Session
		lines  string
		ok     bool
		want   string
	}{
		{"too small", usual, Session{}, "Supported: timer\nSession-Expires: 60", false, ""},
		{"too small for a trunk that wants more", SessionPolicy{Min: 10 * time.Minute}, Session{}, "Supported: timer\nSession-Expires: 599", false, ""},
		{"too small, of a proxy before a caller without timers", usual, Session{}, "Session-Expires: 60", true, "Session-Expires: 90;refresher=uas"},
		{"refresher left to us", usual, Session{}, "Supported: timer\nSession-Expires: 600", true, "Session-Expires: 600;refresher=uas"},
		{"the caller wants to refresh", usual, Session{}, "Supported: timer\nSession-Expires: 600;refresher=uac", true, "Session-Expires: 600;refresher=uac\nRequire: timer"},
		{"the caller wants us to", usual, Session{}, "Supported: timer\nSession-Expires: 600;refresher=uas", true, "Session-Expires: 600;refresher=uas"},
		{"one who cannot refresh is named", usual, Session{}, "Session-Expires: 600;refresher=uac", true, "Session-Expires: 600;refresher=uas"},
		{"longer than ours", usual, Session{}, "Supported: timer\nSession-Expires: 7200", true, "Session-Expires: 1800;refresher=uas"},
		{"longer than ours, but not to be shortened", usual, Session{}, "Supported: timer\nSession-Expires: 7200\nMin-SE: 3600", true, "Session-Expires: 3600;refresher=uas"},
		{"supported, not asked for", usual, Session{}, "Supported: timer", true, "Session-Expires: 1800;refresher=uas"},
		{"supported, not asked for, nor by us", SessionPolicy{Min: 90 * time.Second}, Session{}, "Supported: timer", true, ""},
		{"asked for, not by us", SessionPolicy{Min: 90 * time.Second}, Session{}, "Supported: timer\nSession-Expires: 7200", true, "Session-Expires: 7200;refresher=uas"},
		{"unknown: nothing is said", usual, Session{}, "Subject: x", true, ""},
		{"a refresh that names nobody leaves the roles", usual, theirs, "Supported: timer\nSession-Expires: 1800", true, "Session-Expires: 1800;refresher=uac\nRequire: timer"},
		{"a refresh of the other side leaves us in ours", usual, ours, "Supported: timer\nSession-Expires: 1800", true, "Session-Expires: 1800;refresher=uas"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := test.policy.Accept(message(t, "INVITE sip:a@b SIP/2.0", test.lines), test.now)
			text := ""
			if ok {
				text = strings.ReplaceAll(strings.TrimSuffix(string(got.AppendResponse(nil)), "\r\n"), "\r\n", "\n")
			}
			if ok != test.ok || text != test.want {
				t.Errorf("%v %q", ok, text)
			}
		})
	}
	if got, _ := usual.Accept(message(t, "INVITE sip:a@b SIP/2.0", "Subject: x"), Session{}); !got.Ours || got.Interval != 30*time.Minute {
		t.Errorf("a peer without timers is not refreshed: %+v", got)
	}
	if got := string(SessionPolicy{Min: 91 * time.Second}.AppendMinSE(nil)); got != "Min-SE: 91\r\n" {
		t.Errorf("%q", got)
	}
}

// TMR-01, TMR-03, TMR-06: RFC 4028 §7.1 to §7.4.
func TestSessionProposed(t *testing.T) {
	s := SessionPolicy{Expires: 30 * time.Minute}.Propose()
	if got := string(s.AppendRequest(nil)); got != "Session-Expires: 1800\r\n" {
		t.Errorf("the first INVITE: %q", got)
	}
	if got := string(Session{}.AppendRequest(nil)); got != "" {
		t.Errorf("none wanted: %q", got)
	}
	for _, test := range []struct {
		name, lines string
		want        string
		ours        bool
	}{
		{"the callee refreshes", "Session-Expires: 900;refresher=uas", "Session-Expires: 900;refresher=uas\r\n", false},
		{"we do", "Session-Expires: 900;refresher=uac", "Session-Expires: 900;refresher=uac\r\n", true},
		{"nobody is named: we do", "Session-Expires: 900", "Session-Expires: 900;refresher=uac\r\n", true},
		{"no timer there: we do", "Subject: x", "Session-Expires: 1800;refresher=uac\r\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s.Agreed(message(t, "SIP/2.0 200 OK", test.lines))
			if text := string(got.AppendRequest(nil)); text != test.want || got.Ours != test.ours {
				t.Errorf("%q, ours %v", text, got.Ours)
			}
		})
	}
	larger, ok := s.Refused(message(t, "SIP/2.0 422 Session Interval Too Small", "Min-SE: 3600"))
	if got := string(larger.AppendRequest(nil)); !ok || got != "Session-Expires: 3600\r\nMin-SE: 3600\r\n" {
		t.Errorf("after 422: %v %q", ok, got)
	}
	for _, lines := range []string{"Min-SE: 3600", "Min-SE: 90", "Subject: x", "Min-SE: 999999"} {
		if _, again := larger.Refused(message(t, "SIP/2.0 422 Session Interval Too Small", lines)); again {
			t.Errorf("%s: asked again for what cannot help", lines)
		}
	}
}
