package wire

import (
	"bytes"
	"strconv"
	"time"
)

// Digits in the body of an INFO. No RFC defines the two forms, which every vendor sends: application/dtmf-relay, in lines as
// "Signal=5" and "Duration=160" (milliseconds), and application/dtmf, which is the signal alone.
const dtmfRelay = "application/dtmf-relay"

// DTMFType is the type of the bodies that [AppendDTMF] writes.
const DTMFType = dtmfRelay

// dtmfUsual is how long a digit lasts of which nobody says.
const dtmfUsual = 160 * time.Millisecond

// What may be wrong with a digit. They spoil no message, and so are none of [Causes].
var (
	errNoSignal    = &Error{400, "DTMF Body Without Signal", "dtmf_no_signal"}
	errSignal      = &Error{400, "Unknown DTMF Signal", "dtmf_signal"}
	errDuration    = &Error{400, "Bad DTMF Duration", "dtmf_duration"}
	errSignalTwice = &Error{400, "DTMF Body With Two Signals", "dtmf_signal_twice"}
)

// IsDTMF tells whether a message's body is to name a digit, by its Content-Type.
func (m *Message) IsDTMF() bool {
	media, _ := mediaType(m.Get(HContentType))
	return equalFold(media, dtmfRelay) || equalFold(media, "application/dtmf")
}

// DTMF reads the digit in a message's body: an event of RFC 4733 §3.2 (0–9, 10 = *, 11 = #, 12–15 = A–D, 16 = flash), and how
// long it lasts, 160 ms if the body does not say. The error is for the sender.
func (m *Message) DTMF() (event uint8, lasts time.Duration, err *Error) {
	media, _ := mediaType(m.Get(HContentType))
	body := bytes.TrimSpace(m.Body)
	if !equalFold(media, dtmfRelay) && bytes.IndexByte(body, '=') < 0 {
		if event, err = readSignal(body); err != nil {
			return 0, 0, err
		}
		return event, dtmfUsual, nil
	}
	lasts = dtmfUsual
	named := false
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		key, value, _ := bytes.Cut(line, []byte("="))
		key, value = bytes.TrimSpace(key), bytes.TrimSpace(value)
		switch {
		case equalFold(key, "signal") && named:
			return 0, 0, errSignalTwice
		case equalFold(key, "signal"):
			named = true
			if event, err = readSignal(value); err != nil {
				return 0, 0, err
			}
		case equalFold(key, "duration"):
			ms, err := strconv.ParseUint(string(value), 10, 20)
			if err != nil {
				return 0, 0, errDuration
			}
			lasts = time.Duration(ms) * time.Millisecond
		}
	}
	if !named {
		return 0, 0, errNoSignal
	}
	return event, lasts, nil
}

// readSignal reads a key by its face, or by its event number, as some send 10 for *. Flash has several names.
func readSignal(text []byte) (uint8, *Error) {
	if len(text) == 1 {
		switch c := text[0]; {
		case '0' <= c && c <= '9':
			return c - '0', nil
		case c == '*':
			return 10, nil
		case c == '#':
			return 11, nil
		case 'A' <= c && c <= 'D':
			return 12 + c - 'A', nil
		case 'a' <= c && c <= 'd':
			return 12 + c - 'a', nil
		case c == '!':
			return 16, nil
		}
		return 0, errSignal
	}
	if len(text) == 0 {
		return 0, errNoSignal
	}
	if equalFold(text, "flash") || equalFold(text, "hf") {
		return 16, nil
	}
	if n, err := strconv.ParseUint(string(text), 10, 8); err == nil && text[0] != '+' && n <= 16 {
		return uint8(n), nil
	}
	return 0, errSignal
}

// signals are the faces of the events.
const signals = "0123456789*#ABCD!"

// AppendDTMF appends the body that names an event of up to 16, as application/dtmf-relay.
func AppendDTMF(dst []byte, event uint8, lasts time.Duration) []byte {
	dst = append(dst, "Signal="...)
	dst = append(dst, signals[event], '\r', '\n')
	dst = append(dst, "Duration="...)
	dst = strconv.AppendInt(dst, lasts.Milliseconds(), 10)
	return append(dst, "\r\n"...)
}
