package wire

import "testing"

// INV-15, REF-03: RFC 3891 §6.1.
func TestReplaces(t *testing.T) {
	for _, test := range []struct {
		name, lines string
		want        Replaces
		ok          bool
	}{
		{"none", "Subject: x", Replaces{}, false},
		{"no Call-ID", "Replaces: ;to-tag=a;from-tag=b", Replaces{}, false},
		{"no from-tag", "Replaces: 1@x;to-tag=a", Replaces{}, false},
		{"a tag that is none", "Replaces: 1@x;to-tag=\"a b\";from-tag=c", Replaces{}, false},
		{"in any order", "Replaces: 1@x;from-tag=b;x=y;to-tag=a", Replaces{CallID: []byte("1@x"), ToTag: []byte("a"), FromTag: []byte("b")}, true},
		{"early only", "Replaces: 1@x ;to-tag=a;from-tag=b;early-only", Replaces{CallID: []byte("1@x"), ToTag: []byte("a"), FromTag: []byte("b"), EarlyOnly: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := messageWith(t, "UPDATE", test.lines).Replaces()
			if ok != test.ok || ok && !sameReplaces(got, test.want) {
				t.Errorf("%q %q %q, %v", got.CallID, got.ToTag, got.FromTag, ok)
			}
		})
	}
	for _, test := range []struct {
		name, uri string
		want      Replaces
		ok        bool
	}{
		{"no headers", "sip:a@b", Replaces{}, false},
		{"others", "sip:a@b?Subject=x", Replaces{}, false},
		{"escaped", "sip:a@b?Subject=x&replaces=1%40x%3Bto-tag%3Da%3bfrom-tag%3db", Replaces{CallID: []byte("1@x"), ToTag: []byte("a"), FromTag: []byte("b")}, true},
		{"what is cut short", "sip:a@b?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db", Replaces{CallID: []byte("1"), ToTag: []byte("a"), FromTag: []byte("b")}, true},
	} {
		t.Run("in a URI: "+test.name, func(t *testing.T) {
			u, err := ParseURI([]byte(test.uri))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := ReplacesInURI(u)
			if ok != test.ok || ok && !sameReplaces(got, test.want) {
				t.Errorf("%q %q %q, %v", got.CallID, got.ToTag, got.FromTag, ok)
			}
		})
	}
}

func sameReplaces(a, b Replaces) bool {
	return string(a.CallID) == string(b.CallID) && string(a.ToTag) == string(b.ToTag) && string(a.FromTag) == string(b.FromTag) && a.EarlyOnly == b.EarlyOnly
}
