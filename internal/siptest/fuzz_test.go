package siptest

import (
	"bytes"
	"testing"
)

// FuzzParseFlow: a flow file is either understood or refused with its name and a line.
func FuzzParseFlow(f *testing.F) {
	f.Add([]byte("What.\n-- flow --\n" + wholeCall))
	f.Add([]byte("What.\n-- parties --\nx 1.2.3.4:5 tcp\n-- flow --\nlose app <- 200 BYE x3\nx#2 ?<- 4xx \"\n  +From: y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseFlow("fuzz.txtar", b); err != nil && !bytes.HasPrefix([]byte(err.Error()), []byte("fuzz.txtar:")) {
			t.Errorf("no place in %q", err)
		}
	})
}

// FuzzParseMessage: what is read and written again reads the same.
func FuzzParseMessage(f *testing.F) {
	f.Add([]byte("INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z\r\nf: \"x,<\" <sip:a@b>;tag=1\r\n\r\nbody"))
	f.Add([]byte("SIP/2.0 200 OK\r\nContact: <sip:a>, <sip:b;x=\"\\\"\">\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		m.branch()
		m.toTag()
		withoutTag(m.get("To"))
		again, err := parseMessage(m.bytes())
		if err != nil || !bytes.Equal(again.bytes(), m.bytes()) {
			t.Errorf("%v\n%q\n%q", err, m.bytes(), b)
		}
	})
}
