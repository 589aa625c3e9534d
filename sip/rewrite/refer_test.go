package rewrite

import (
	"testing"

	"trunkline/sip/wire"
)

// REF-03: what the other leg is asked to call is at a place it can call, and names the dialog that the target knows.
func TestAppendReferTo(t *testing.T) {
	known := &wire.Replaces{CallID: []byte("a b@x;y"), ToTag: []byte("t"), FromTag: []byte("f")}
	for _, test := range []struct {
		name, value string
		known       *wire.Replaces
		want        string
	}{
		{"a number", `"Desk" <sip:+15550001234@pbx.inside:5070;user=phone;transport=tls>`, nil, "Refer-To: <sip:+15550001234@edge;user=phone>\r\n"},
		{"tel", "<tel:+15550001234>", nil, "Refer-To: <tel:+15550001234>\r\n"},
		{"no number", "<sip:pbx.inside>", nil, ""},
		{"a dialog nobody knows is left out", "<sip:1@inside?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>", nil, "Refer-To: <sip:1@edge>\r\n"},
		{"a dialog as the target knows it", "<sip:1@inside?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>", known,
			"Refer-To: <sip:1@edge?Replaces=a%20b%40x%3By%3Bto-tag%3Dt%3Bfrom-tag%3Df>\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := wire.ParseAddress([]byte(test.value))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(AppendReferTo(nil, a, "edge", test.known)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
