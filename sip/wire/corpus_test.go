package wire

import (
	"path/filepath"
	"strings"
	"testing"
)

// corpus returns the messages that the differential, mutation and fuzz tests begin with: everyday ones and every
// torture message.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	all := [][]byte{
		carrierINVITE, small200, edited(options), edited(ok200),
		edited(ok200, "+Via: SIP/2.0/UDP h2;branch=z9hG4bK2"),
		edited(options, "Via: SIP / 2.0 / UDP h : 5060 ; x = \"a;b\" ; Branch = z9hG4bK1, SIP/2.0/TCP i", `From: A <sip:a@b> ; TAG = abc==`, "+m: <sip:a@b>;q=1, <sip:c@d>", "+Record-Route: sip:p;lr", "+r: <sip:x@y?Replaces=a%40b>", "+X-Own: 1"),
		edited(options, ">Options SIP:a:b@[2001:db8::1]:5060;lr;;x= SIP/2.0", "CSeq: 1 \t Options", "+Contact: <sip:a@b;x=y=z>", "+Route: <sip:p;lr>,<sip:q>;lr", "=body"),
		edited(options, ">REGISTER tel:+1 SIP/2.0", "CSeq: 7\r\n REGISTER", "+Contact: *", "-Content-Length"),
	}
	for _, row := range append(rfc4475, rfc5118...) {
		all = append(all, torture(t, row.name))
	}
	return all
}

func TestCorpusIsWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/torture/*.dat")
	if err != nil || len(corpus(t)) < len(files) {
		t.Error("torture messages are left out", strings.Join(files, " "), err)
	}
}
