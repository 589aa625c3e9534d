package sip

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const secret = "6629fae49393a05397450978507c4ef1"
	message := strings.ReplaceAll(`INVITE sip:b@far SIP/2.0
Authorization: Digest username="u", realm="r", nonce="n", uri="sip:b", response="`+secret+`", cnonce="`+secret+`"
proxy-authorization : Digest Response="`+secret+`"
Authorization: Digest username="u", realm="r",
  response="`+secret+`",
	cnonce="`+secret+`"
WWW-Authenticate: Digest nonce="keep"
Content-Length: 99

v=0
k=base64:`+secret+`
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:`+secret+`|2^20|1:4
a=rtpmap:0 PCMU/8000
`, "\n", "\r\n")
	got := string(Redact([]byte(message)))
	if strings.Contains(got, secret) {
		t.Errorf("a secret is left in\n%s", got)
	}
	if len(got) != len(message) {
		t.Errorf("the length changed from %d to %d", len(message), len(got))
	}
	for _, kept := range []string{`username="u"`, `nonce="keep"`, "|2^20|1:4", "a=rtpmap:0 PCMU/8000"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone from\n%s", kept, got)
		}
	}
}
