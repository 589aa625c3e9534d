package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestSDP(t *testing.T) {
	const sdp = "v=0|o=- 1 1 IN IP4 192.0.2.1|s=-|t=0 0|"
	for _, row := range []struct{ name, contentType, body, want string }{
		{"PAR-13/alone", "application/sdp", sdp, sdp},
		{"PAR-13/in any case, with parameters", "Application/SDP ; charset=utf-8", sdp, sdp},
		{"PAR-13/beside ISUP", "multipart/mixed;boundary=b1", "--b1|Content-Type: application/sdp||" + sdp + "|--b1|Content-Type: application/ISUP;version=nxv3|Content-Disposition: signal;handling=optional||\x01\x00\n\x02|--b1--|", sdp},
		{"PAR-13/behind PIDF-LO", `multipart/mixed; boundary="b 1"`, "preamble|--b 1|Content-Type: application/pidf+xml||<x/>|--b 1|c: application/sdp||" + sdp + "|--b 1--", sdp},
		{"PAR-13/the break before the delimiter ends the last line", "multipart/mixed;boundary=b", "--b|Content-Type: application/sdp||" + sdp + "--b--|", sdp},
		{"PAR-13/in a nested multipart", "multipart/mixed;boundary=b", "--b|Content-Type: multipart/related;boundary=c||--c|Content-Type: application/sdp||" + sdp + "|--c--|--b--|", sdp},
		{"PAR-13/the last of alternatives", "multipart/alternative;boundary=b", "--b|Content-Type: application/sdp||v=1||--b|Content-Type: application/sdp||" + sdp + "|--b--|", sdp},
		{"PAR-13/the first of mixed", "multipart/mixed;boundary=b", "--b|Content-Type: application/sdp||" + sdp + "|--b|Content-Type: application/sdp||v=1||--b--|", sdp},
		{"PAR-13/line feeds only", "multipart/mixed;boundary=b", "--b\nContent-Type: application/sdp\n\nv=0\n--b--\n", "v=0\n"},
		{"PAR-13/folded part header", "multipart/mixed;boundary=b", "--b|Content-Type:| application/sdp||" + sdp + "|--b--|", sdp},
		{"PAR-13/without the last delimiter", "multipart/mixed;boundary=b", "--b|Content-Type: application/sdp||" + sdp, sdp},
		{"PAR-13/binary encoding", "multipart/mixed;boundary=b", "--b|Content-Type: application/sdp|Content-Transfer-Encoding: Binary||" + sdp + "|--b--|", sdp},
		{"PAR-13/base64 is not octets", "multipart/mixed;boundary=b", "--b|Content-Type: application/sdp|Content-Transfer-Encoding: base64||" + sdp + "|--b--|", ""},
		{"PAR-13/a longer boundary is another one", "multipart/mixed;boundary=b", "--bb|Content-Type: application/sdp||" + sdp + "|--bb--|", ""},
		{"PAR-13/a boundary within a line is text", "multipart/mixed;boundary=b", "x--b|Content-Type: application/sdp||" + sdp, ""},
		{"PAR-13/no boundary", "multipart/mixed", "--b|Content-Type: application/sdp||" + sdp, ""},
		{"PAR-13/another type", "application/isup", sdp, ""},
		{"PAR-13/a part without type is text", "multipart/mixed;boundary=b", "--b||" + sdp + "|--b--|", ""},
		{"PAR-13/nested too deep", "multipart/mixed;boundary=a", "--a|Content-Type: multipart/mixed;boundary=b||--b|Content-Type: multipart/mixed;boundary=c||--c|Content-Type: multipart/mixed;boundary=d||--d|Content-Type: application/sdp||" + sdp + "|--d--|--c--|--b--|--a--|", ""},
		{"no type", "", sdp, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			breaks := strings.NewReplacer("|", "\r\n")
			got := SDP([]byte(row.contentType), []byte(breaks.Replace(row.body)))
			if want := breaks.Replace(row.want); string(got) != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// IDN-11: the location of a caller stays beside a description that is ours; other parts do not cross.
func TestAppendWithSDP(t *testing.T) {
	const (
		kind      = "multipart/mixed;boundary=\"b1\""
		sdp       = "v=0\r\n"
		described = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n"
		located   = "--b1\r\nContent-ID: <a@b>\r\nContent-Type: application/pidf+xml;charset=utf-8\r\n\r\n<p/>\r\n"
		other     = "--b1\r\nContent-Type: text/plain\r\n\r\nsecret\r\n"
		end       = "--b1--\r\n"
	)
	for _, test := range []struct{ name, kind, body, want string }{
		{"beside another part", kind, "preamble\r\n" + other + described + located + end, "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n" + located + end},
		{"location first", kind, located + described + end, located + "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n" + end},
		{"no location", kind, described + other + end, ""},
		{"no description", kind, located + end, ""},
		{"an encoded description", kind, "--b1\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0=\r\n" + located + end, ""},
		{"one part", "application/sdp", "v=1\r\n", ""},
		{"no boundary", "multipart/mixed", described + located + end, ""},
		{"a boundary in our description", "multipart/mixed;boundary=v", strings.ReplaceAll(described+located+end, "b1", "v"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := AppendWithSDP([]byte("x"), []byte(test.kind), []byte(test.body), []byte(sdp), func(media []byte) bool { return string(media) == "application/pidf+xml" })
			if ok != (test.want != "") || string(got) != "x"+test.want {
				t.Errorf("got %t\n%s\nwant\nx%s", ok, got, test.want)
			}
		})
	}
}

// FuzzAppendWithSDP: the result holds our description, found again where the other was.
func FuzzAppendWithSDP(f *testing.F) {
	f.Add([]byte("multipart/mixed;boundary=b1"), []byte("--b1\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<p/>\r\n--b1--\r\n"))
	f.Fuzz(func(t *testing.T, kind, body []byte) {
		const sdp = "v=0\r\no=ours\r\n"
		got, ok := AppendWithSDP(nil, kind, body, []byte(sdp), func(media []byte) bool { return len(media) > 15 })
		if !ok {
			return
		}
		if found := SDP(kind, got); string(found) != sdp && !bytes.Contains(bytes.ToLower(kind), []byte("alternative")) {
			t.Errorf("%q in\n%q", found, got)
		}
	})
}
