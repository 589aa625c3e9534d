package dialog

import (
	"errors"
	"strings"
	"testing"

	"trunkline/sip/wire"
)

func parse(t *testing.T, text string) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	if err := m.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return m
}

func response(t *testing.T, status, tag, more string) *wire.Message {
	t.Helper()
	return parse(t, "SIP/2.0 "+status+"\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nFrom: <sip:a@edge>;tag=ours\nTo: <sip:b@far>;tag="+tag+
		"\nCall-ID: c1\nCSeq: 1 INVITE\n"+more+"Content-Length: 0\n\n")
}

func caller() Dialog {
	return NewCaller([]byte("c1"), []byte("ours"), []byte("<sip:a@edge>"), []byte("<sip:b@far>"), []byte("sip:b@far"), []byte("<sip:edge>"))
}

func write(d *Dialog, m wire.Method) string {
	return string(d.AppendRequest(nil, m, "UDP", "192.0.2.1:5060", []byte("z9hG4bKb")))
}

// RFC 3261 §13.2.2.4: the ACK repeats the INVITE's CSeq number, whatever was
// sent between the INVITE and its answer.
func TestAckRepeatsTheInvitesNumber(t *testing.T) {
	d := caller()
	write(&d, wire.INVITE)
	d.Learn(response(t, "183 Progress", "far", "Contact: <sip:b@192.0.2.9>\n"))
	for _, between := range []wire.Method{wire.PRACK, wire.UPDATE} {
		write(&d, between)
	}
	if ack := write(&d, wire.ACK); !strings.Contains(ack, "CSeq: 1 ACK\r\n") {
		t.Errorf("the ACK does not confirm the INVITE with number 1:\n%s", ack)
	}
	if bye := write(&d, wire.BYE); !strings.Contains(bye, "CSeq: 4 BYE\r\n") {
		t.Errorf("the BYE does not go on counting:\n%s", bye)
	}
}

func TestRouteSet(t *testing.T) {
	for _, test := range []struct {
		name, records string
		wantURI       string
		wantRoutes    string
	}{
		{"no Record-Route: the remote target is addressed", "", "sip:b@192.0.2.9", ""},
		{"a UAC takes Record-Route in reverse order", "Record-Route: <sip:p2;lr>, <sip:p1;lr>\n", "sip:b@192.0.2.9", "Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n"},
		{"two lines are one list", "Record-Route: <sip:p2;lr>\nRecord-Route: <sip:p1;lr>\n", "sip:b@192.0.2.9", "Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n"},
		{"a strict router takes the Request-URI", "Record-Route: <sip:p2;lr>, <sip:p1>\n", "sip:p1", "Route: <sip:p2;lr>\r\nRoute: <sip:b@192.0.2.9>\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := caller()
			d.Learn(response(t, "200 OK", "far", "Contact: <sip:b@192.0.2.9>\n"+test.records))
			got := write(&d, wire.BYE)
			if want := "BYE " + test.wantURI + " SIP/2.0\r\n"; !strings.HasPrefix(got, want) {
				t.Errorf("want %q at the start of\n%s", want, got)
			}
			var routes strings.Builder
			for line := range strings.Lines(got) {
				if strings.HasPrefix(line, "Route:") {
					routes.WriteString(line)
				}
			}
			if routes.String() != test.wantRoutes {
				t.Errorf("routes %q, want %q", routes.String(), test.wantRoutes)
			}
		})
	}
}

func TestUASTakesRecordRouteInOrder(t *testing.T) {
	invite := parse(t, "INVITE sip:edge SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nFrom: \"B\" <sip:b@far>;tag=theirs\nTo: <sip:a@edge>\n"+
		"Call-ID: c1\nCSeq: 9 INVITE\nContact: <sip:b@192.0.2.9:5070>\nRecord-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>\nContent-Length: 0\n\n")
	d := FromInvite(invite, []byte("ours"), []byte("<sip:edge>"))
	got := write(&d, wire.BYE)
	for _, want := range []string{
		"BYE sip:b@192.0.2.9:5070 SIP/2.0\r\n", "Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n",
		"From: <sip:a@edge>;tag=ours\r\n", "To: \"B\" <sip:b@far>;tag=theirs\r\n", "CSeq: 1 BYE\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// RFC 3261 §12.2.2: numbers rise; a lower or repeated one is refused.
func TestAccept(t *testing.T) {
	d := caller() // nothing heard from the peer yet: any number is good, also a low one
	for _, step := range []struct {
		seq  uint32
		want error
	}{{1, nil}, {1, ErrStale}, {5, nil}, {4, ErrStale}, {6, nil}} {
		if got := d.Accept(step.seq); !errors.Is(got, step.want) {
			t.Errorf("Accept(%d) = %v, want %v", step.seq, got, step.want)
		}
	}
}

// Early dialogs of one INVITE are apart: RFC 3261 §12.1, §13.2.2.
func TestForksAreApart(t *testing.T) {
	d := caller()
	write(&d, wire.INVITE)
	a := d.Fork(response(t, "180 Ringing", "a", "Contact: <sip:a@192.0.2.7>\n"))
	b := d.Fork(response(t, "180 Ringing", "b", "Contact: <sip:b@192.0.2.8>\nRecord-Route: <sip:p;lr>\n"))
	if got := write(&a, wire.ACK); !strings.HasPrefix(got, "ACK sip:a@192.0.2.7 ") || !strings.Contains(got, ";tag=a\r\n") || strings.Contains(got, "Route:") {
		t.Errorf("the first fork's ACK is not its own:\n%s", got)
	}
	if got := write(&b, wire.ACK); !strings.HasPrefix(got, "ACK sip:b@192.0.2.8 ") || !strings.Contains(got, ";tag=b\r\n") || !strings.Contains(got, "Route: <sip:p;lr>\r\n") {
		t.Errorf("the second fork's ACK is not its own:\n%s", got)
	}
}

// A 2xx without a target refresh leaves the target; one with a new Contact moves it.
func TestRefresh(t *testing.T) {
	d := caller()
	d.Learn(response(t, "200 OK", "far", "Contact: <sip:b@192.0.2.9>\n"))
	d.Refresh(response(t, "200 OK", "far", ""))
	if got := string(d.Target()); got != "sip:b@192.0.2.9" {
		t.Errorf("without a Contact the target became %s", got)
	}
	d.Refresh(response(t, "200 OK", "far", "Contact: <sip:b@192.0.2.10>\n"))
	if got := string(d.Target()); got != "sip:b@192.0.2.10" {
		t.Errorf("the target is %s, not the new Contact", got)
	}
}

func TestOrphan(t *testing.T) {
	d := FromOrphan(response(t, "200 OK", "far", "Contact: <sip:b@192.0.2.9>\n"), []byte("<sip:edge>"))
	for _, want := range []string{"ACK sip:b@192.0.2.9 ", "CSeq: 1 ACK\r\n"} {
		if got := write(&d, wire.ACK); !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if got := write(&d, wire.BYE); !strings.Contains(got, "CSeq: 2 BYE\r\n") {
		t.Errorf("the BYE does not follow the INVITE's number:\n%s", got)
	}
}
