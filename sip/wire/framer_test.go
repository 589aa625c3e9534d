package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// frames feeds the stream in pieces of the given size and returns what comes out, one line each.
func frames(stream []byte, size int) (out []string) {
	var f Framer
	for len(stream) > 0 {
		n := min(size, len(stream))
		f.Feed(stream[:n])
		stream = stream[n:]
		for {
			message, event, err := f.Next()
			if err != nil {
				e, _ := errors.AsType[*Error](err)
				head, _, _ := strings.Cut(string(message), "\r\n")
				return append(out, "error "+e.Cause+" "+head)
			}
			if event == None {
				break
			}
			switch event {
			case Whole:
				out = append(out, string(message))
			case Ping:
				out = append(out, "ping")
			case Pong:
				out = append(out, "pong")
			}
		}
	}
	return out
}

func TestFramer(t *testing.T) {
	one := string(edited(options, "Content-Length: 4", "=abcd"))
	two := string(edited(ok200, "Call-ID: two"))
	folded := string(edited(options, "Content-Length :\r\n  4", "=abcd"))
	compact := string(edited(options, "-Content-Length", "+l:4", "=abcd"))
	badFrom := string(edited(options, "From: <sip:a@b"))
	noLength := string(edited(options, "-Content-Length"))
	for _, row := range []struct {
		name, stream string
		want         []string
	}{
		{"PAR-10/two messages in one segment", one + two, []string{one, two}},
		{"PAR-10/CRLFs between messages", one + "\r\n" + two + "\r\n\r\n\r\n" + one, []string{one, "pong", two, "pong", "ping", "pong", one}},
		{"PAR-10/folded Content-Length with blanks before the colon", folded + two, []string{folded, two}},
		{"PAR-10/compact Content-Length", compact + two, []string{compact, two}},
		{"PAR-10/Content-Length inside a folded value does not count", string(edited(options, "-Content-Length", "+X: a\r\n Content-Length: 9", "+Content-Length: 0")) + two, []string{string(edited(options, "-Content-Length", "+X: a\r\n Content-Length: 9", "+Content-Length: 0")), two}},
		{"PAR-10/no Content-Length closes", one + noLength, []string{one, "error content_length OPTIONS sip:edge.example.com SIP/2.0"}},
		{"PAR-10/negative Content-Length closes", string(edited(options, "Content-Length: -1")), []string{"error content_length OPTIONS sip:edge.example.com SIP/2.0"}},
		{"PAR-04/two Content-Lengths close", string(edited(options, "+l: 0")), []string{"error content_length OPTIONS sip:edge.example.com SIP/2.0"}},
		{"PAR-10/Content-Length over the limit closes", string(edited(options, "Content-Length: 65535")), []string{"error too_long OPTIONS sip:edge.example.com SIP/2.0"}},
		{"PAR-10/Content-Length of 2^64 closes", string(edited(options, "Content-Length: 18446744073709551616")), []string{"error too_long OPTIONS sip:edge.example.com SIP/2.0"}},
		{"PAR-10/a header without end closes", "OPTIONS sip:x SIP/2.0\r\nX: " + strings.Repeat("x", MaxMessage), []string{"error too_long "}},
		{"PAR-10/what is no message closes", "\x16\x03\x01\x02", []string{"error not_sip "}},
		{"PAR-10/a lone CR closes", one + "\rx", []string{one, "error not_sip "}},
		{"TRN-08/ping", "\r\n\r\n" + one, []string{"pong", "ping", one}},
		{"TRN-08/two pings", "\r\n\r\n\r\n\r\n", []string{"pong", "ping", "pong", "ping"}},
		{"TRN-08/a message parts two CRLFs", "\r\n" + two + "\r\n", []string{"pong", two, "pong"}},
		{"trap 18/a bad header elsewhere is no ground to close", badFrom + two, []string{badFrom, two}},
	} {
		for _, size := range []int{1, 2, 3, 7, 64, len(row.stream)/10 + 1, len(row.stream)} {
			if size == 1 && len(row.stream) > 10000 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d octets a read", row.name, size), func(t *testing.T) {
				got := frames([]byte(row.stream), size)
				if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", row.want) {
					t.Errorf("got  %q\nwant %q", got, row.want)
				}
			})
		}
	}
}

// After an error nothing more comes out, whatever arrives.
func TestFramerStaysFailed(t *testing.T) {
	var f Framer
	f.Feed([]byte("\x00"))
	for range 3 {
		if m, e, err := f.Next(); m != nil || e != None || err == nil {
			t.Fatalf("%q %v %v", m, e, err)
		}
		f.Feed(edited(options))
	}
}

// One large message does not make an idle connection hold its buffer, and pipelined ones do not make it grow.
func TestFramerMemory(t *testing.T) {
	var f Framer
	large := edited(options, "Content-Length: 60000", "="+strings.Repeat("x", 60000))
	f.Feed(large)
	if m, e, _ := f.Next(); e != Whole || !bytes.Equal(m, large) {
		t.Fatal("large message lost")
	}
	f.Space(1)
	if cap(f.buf) > 16<<10 {
		t.Errorf("an idle connection holds %d octets", cap(f.buf))
	}
	small := edited(options)
	for range 10000 {
		f.Feed(small[:100])
		f.Feed(append(small[100:len(small):len(small)], small[:0]...))
		if _, e, err := f.Next(); e != Whole || err != nil {
			t.Fatal(e, err)
		}
	}
	if cap(f.buf) > 4096 {
		t.Errorf("pipelining grew the buffer to %d octets", cap(f.buf))
	}
}

func TestFramerAllocatesNothing(t *testing.T) {
	var f Framer
	two := append(bytes.Clone(carrierINVITE), small200...)
	if n := testing.AllocsPerRun(100, func() {
		f.Feed(two)
		for range 2 {
			if _, e, err := f.Next(); e != Whole || err != nil {
				t.Fatal(e, err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
