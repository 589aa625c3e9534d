package wire

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

// mutate spoils a message in the ways the PROTOS suite does: overlong and repeated elements, numbers at and over
// their limits, formats strings and delimiters where none belong, octets taken out, doubled or changed.
func mutate(r *rand.Rand, b []byte, seeds [][]byte) []byte {
	pieces := [...]string{
		"", " ", "\t", "\r\n", "\n", "\r", "\x00", "\x7f", "\xff\xfe", "%s%n", "%00", "%0d%0a", "%", "\"", "\\", "<", ">", "<<>>", ";", ";;", ",", ":", "@", "=", "[", "]", "[::]",
		"-1", "0", "256", "65536", "2147483648", "4294967296", "18446744073709551616", "99999999999999999999999999", "\r\n ", "\r\n\r\n", "SIP/2.0", "sip:", "z9hG4bK", ";tag=", ";branch=", ";rport=", "../", "multipart/mixed;boundary=",
	}
	out := bytes.Clone(b)
	for range 1 + r.IntN(4) {
		at, end := 0, 0
		if len(out) > 0 {
			at = r.IntN(len(out))
			end = min(len(out), at+r.IntN(20))
		}
		piece := pieces[r.IntN(len(pieces))]
		switch r.IntN(7) {
		case 0: // put in
			out = append(out[:at:at], append([]byte(piece), out[at:]...)...)
		case 1: // put in place of
			out = append(out[:at:at], append([]byte(piece), out[end:]...)...)
		case 2: // repeat
			out = append(out[:end:end], append(bytes.Repeat(out[at:end], r.IntN(100)), out[end:]...)...)
		case 3: // overlong
			out = append(out[:at:at], append(bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(5000)), out[at:]...)...)
		case 4: // cut off
			out = out[:at]
		case 5: // change an octet
			if len(out) > 0 {
				out[at] ^= byte(1 << r.IntN(8))
			}
		case 6: // go on with another message
			other := seeds[r.IntN(len(seeds))]
			out = append(out[:at:at], other[r.IntN(len(other)):]...)
		}
	}
	return out
}

// PAR-14: some thousands of spoilt messages neither crash nor leave anything behind. The generator is seeded, so a
// failure comes again.
func TestMutations_PAR14(t *testing.T) {
	seeds := corpus(t)
	r := rand.New(rand.NewPCG(4527, 1))
	const cases = 4527 // as many as PROTOS c07-sip
	accepted, answered, dropped := 0, 0, 0
	for range cases {
		b := mutate(r, seeds[r.IntN(len(seeds))], seeds)
		checkMessage(t, bytes.Clone(b))
		frames(bytes.Clone(b), 1+r.IntN(len(b)+1))
		m := Message{ManyVias: true}
		if err := m.Parse(b); err == nil {
			accepted++
		} else if err.(*Error).Status != 0 {
			answered++
		} else {
			dropped++
		}
	}
	t.Logf("%d accepted, %d answered with an error, %d dropped", accepted, answered, dropped)
	if accepted < cases/20 || answered < cases/20 || dropped < cases/20 {
		t.Error("the mutations are too tame or too wild to show anything")
	}
}

// PAR-14: parsing whatever comes takes no memory beyond the one Message, good or bad.
func TestMutationsMemory_PAR14(t *testing.T) {
	seeds := corpus(t)
	r := rand.New(rand.NewPCG(4527, 2))
	var spoilt [][]byte
	for range 2000 {
		spoilt = append(spoilt, mutate(r, seeds[r.IntN(len(seeds))], seeds))
	}
	m := Message{Headers: make([]Header, 0, MaxHeaders)}
	var e Envelope
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 5 {
		for _, b := range spoilt {
			Scan(b, &e)
			m.Parse(b)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 100 { // the runtime's own, if it wakes up
		t.Errorf("%d allocations for %d messages", n, 5*len(spoilt))
	}
}
