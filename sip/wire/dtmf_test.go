package wire

import (
	"fmt"
	"testing"
	"time"
)

// info is an INFO with that body.
func info(t testing.TB, kind, body string) *Message {
	t.Helper()
	m := new(Message)
	text := fmt.Sprintf("INFO sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:b@192.0.2.2>;tag=1\r\n"+
		"To: <sip:a@192.0.2.1>;tag=2\r\nCall-ID: x\r\nCSeq: 2 INFO\r\nMax-Forwards: 70\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	if err := m.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

// MED-06: digits in INFO, as they are seen in the wild.
func TestDTMF(t *testing.T) {
	const relay, plain = "application/dtmf-relay", "application/dtmf"
	tests := []struct {
		name, kind, body string
		event            uint8
		lasts            time.Duration
		err              *Error
	}{
		{"an empty body", relay, "", 0, 0, errNoSignal},
		{"a duration alone", relay, "Duration=160\r\n", 0, 0, errNoSignal},
		{"a signal without value", relay, "Signal=\r\nDuration=160\r\n", 0, 0, errNoSignal},
		{"a letter that is no key", relay, "Signal=E\r\n", 0, 0, errSignal},
		{"two keys", relay, "Signal=55\r\n", 0, 0, errSignal},
		{"an event beyond flash", relay, "Signal=17\r\n", 0, 0, errSignal},
		{"two signals", relay, "Signal=1\r\nSignal=2\r\n", 0, 0, errSignalTwice},
		{"a duration that is none", relay, "Signal=1\r\nDuration=long\r\n", 0, 0, errDuration},
		{"a duration below zero", relay, "Signal=1\r\nDuration=-1\r\n", 0, 0, errDuration},
		{"a duration of days", relay, "Signal=1\r\nDuration=99999999\r\n", 0, 0, errDuration},
		{"nothing at all", plain, "\r\n", 0, 0, errNoSignal},
		{"a word", plain, "five", 0, 0, errSignal},

		{"as phones send it", relay, "Signal=5\r\nDuration=160\r\n", 5, 160 * time.Millisecond, nil},
		{"with blanks, as Cisco sends it", relay, "Signal= *\r\nDuration= 250\r\n", 10, 250 * time.Millisecond, nil},
		{"bare line feeds, the keys in lower case, no last line end", relay, "signal=#\nduration=80", 11, 80 * time.Millisecond, nil},
		{"the duration first", relay, "Duration=100\r\nSignal=d\r\n", 15, 100 * time.Millisecond, nil},
		{"no duration", relay, "Signal=A\r\n", 12, dtmfUsual, nil},
		{"lines nobody knows", relay, "Signal=0\r\nVolume=10\r\nDuration=1\r\n", 0, time.Millisecond, nil},
		{"an event number", relay, "Signal=11\r\n", 11, dtmfUsual, nil},
		{"flash", relay, "Signal=hf\r\n", 16, dtmfUsual, nil},
		{"another flash", relay, "Signal=16\r\n", 16, dtmfUsual, nil},
		{"the type with a parameter", "Application/DTMF-Relay;charset=utf-8", "Signal=9\r\n", 9, dtmfUsual, nil},
		{"the short form", plain, "7", 7, dtmfUsual, nil},
		{"the short form with a line end", plain, "#\r\n", 11, dtmfUsual, nil},
		{"an event number in the short form", plain, "10\r\n", 10, dtmfUsual, nil},
		{"the long form under the short one's name", plain, "Signal=3\r\nDuration=200\r\n", 3, 200 * time.Millisecond, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := info(t, test.kind, test.body)
			event, lasts, err := m.DTMF()
			if !m.IsDTMF() || event != test.event || lasts != test.lasts || err != test.err {
				t.Errorf("%q is %d, %v, %v; want %d, %v, %v", test.body, event, lasts, err, test.event, test.lasts, test.err)
			}
		})
	}
	if info(t, "application/json", "{}").IsDTMF() {
		t.Error("JSON is no digit")
	}
}

// What is written is read as the same, and whatever is read stays within its bounds.
func FuzzDTMF(f *testing.F) {
	for event := range signals {
		f.Add("application/dtmf-relay", string(AppendDTMF(nil, uint8(event), 160*time.Millisecond)))
	}
	f.Add("application/dtmf", "*")
	f.Add("application/dtmf", "Signal=\x00\nDuration=1048575")
	m := info(f, "application/dtmf", "1")
	kind := -1
	for i := range m.Headers {
		if m.Headers[i].ID == HContentType {
			kind = i
		}
	}
	f.Fuzz(func(t *testing.T, of, body string) {
		m.Headers[kind].Value, m.Body = []byte(of), []byte(body)
		event, lasts, err := m.DTMF()
		if err != nil {
			return
		}
		if int(event) >= len(signals) || lasts < 0 || lasts > 20*time.Minute {
			t.Fatalf("%q is %d for %v", body, event, lasts)
		}
		m.Headers[kind].Value, m.Body = []byte(DTMFType), AppendDTMF(nil, event, lasts)
		if again, same, err := m.DTMF(); again != event || same != lasts || err != nil {
			t.Fatalf("%d for %v, written and read: %d, %v, %v", event, lasts, again, same, err)
		}
	})
}
