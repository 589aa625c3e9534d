package probe

import (
	"net/netip"
	"strings"
	"testing"
)

// Whatever is asked for, what may be called is a name, or a number of at least eight digits that costs no more than a call.
func FuzzCallable(f *testing.F) {
	for _, target := range []string{"+14155550100", "911", "sip:911@x", "sip:%39%31%31@x", "sip:bob@x", "sips:+112@x;y", "sip:sos@x", "+19005550100", "sip:1 1 2@x", "tel:112", "sip:@", "sip:1.1.2@x", "sip:112;phone-context=+49@x"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if target == "" || callable("To", target) != nil {
			return
		}
		if !isURI(target) {
			if !isE164(target) {
				t.Fatalf("%q is called", target)
			}
			return
		}
		_, rest, _ := strings.Cut(target, ":")
		user, _, _ := strings.Cut(rest, "@")
		user, _, _ = strings.Cut(user, ";")
		if digits := strings.NewReplacer("+", "", "-", "", ".", "", "(", "", ")", "", " ", "").Replace(user); digits != "" && strings.Trim(digits, "0123456789") == "" && len(digits) < 8 {
			t.Fatalf("%q is called: %q is short", target, digits)
		}
		if strings.ContainsAny(target, "\r\n <>\"") {
			t.Fatalf("%q would break out of its line", target)
		}
	})
}

func TestPrivate(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "100.64.0.1": true, "0.0.0.0": true,
		"224.0.0.1": true, "240.0.0.1": true, "::1": true, "fe80::1": true, "fd00::1": true, "::ffff:10.0.0.1": true, "64:ff9b::7f00:1": true,
		"54.172.60.1": false, "192.76.120.10": false, "2600:1f18::1": false, "::ffff:54.172.60.1": false,
	} {
		if got := Private(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// A refusal says what is wrong with the target.
func TestCallableWords(t *testing.T) {
	for target, want := range map[string]string{
		"911":                "emergency services",
		"+4491234567890":     "premium rate number (+449…)",
		"bob":                "neither a number",
		"sip:sos@x":          "emergency services",
		"sip:a\r\nb@x":       "control characters",
		"14155550100":        "+ and 8 to 15 digits",
		"sip:alice@home":     "",
		"sip:+14155550100@x": "",
	} {
		err := callable("To", target)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", target, err, want)
		}
	}
}
