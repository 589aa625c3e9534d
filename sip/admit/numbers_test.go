package admit

import (
	"strings"
	"testing"

	"trunkline/sip/wire"
)

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		name, uri, lines string
		asserted         bool
		called, caller   string
	}{
		{"Request-URI and From", "sip:+1@edge", "", true, "+1", "+2"},
		{"To where the Request-URI has no user", "sip:edge", "", true, "+3", "+2"},
		{"the asserted identity", "sip:+1@edge", "P-Asserted-Identity: <sip:edge>, <tel:+4;x=y>\n", true, "+1", "+4;x=y"},
		{"the preferred one", "sip:+1@edge", "P-Preferred-Identity: <sip:+5@x>\n", true, "+1", "+5"},
		{"of a sender that is not believed", "sip:+1@edge", "P-Asserted-Identity: <sip:+4@x>\n", false, "+1", "+2"},
		{"a tel URI with its parameters", "tel:+1;npdi;rn=+9", "", true, "+1;npdi;rn=+9", "+2"},
		{"a call for help", "urn:service:SOS.police", "", true, "urn:service:SOS.police", "+2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := new(wire.Message)
			text := "INVITE " + test.uri + " SIP/2.0\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\nFrom: <sip:+2@x>;tag=t\nTo: <sip:+3@x>\nCall-ID: 1\nCSeq: 1 INVITE\n" + test.lines + "Content-Length: 0\n\n"
			if err := m.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
				t.Fatal(err)
			}
			called, caller := Numbers(m, test.asserted)
			if string(called) != test.called || string(caller) != test.caller {
				t.Errorf("%s calls %s, want %s calls %s", caller, called, test.caller, test.called)
			}
		})
	}
	for uri, want := range map[string]bool{"urn:service:sos": true, "URN:service:sos.fire": true, "urn:service:sosy": false, "urn:service:counseling": false, "sip:911@x": false} {
		if IsSOS([]byte(uri)) != want {
			t.Errorf("%s: %t", uri, !want)
		}
	}
}
