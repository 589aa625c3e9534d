package wire

import "time"

// Refresher says who refreshes a session, as a Session-Expires names it (RFC 4028 §4): seen from the one request and its
// response that carry it.
type Refresher uint8

const (
	NoRefresher Refresher = iota // not named
	UAC                          // who sent the request
	UAS                          // who answered it
)

// SessionExpires returns the interval of a Session-Expires header and who refreshes; ok is false without the header or a
// number in it. Intervals end at 2^31-1 s.
func (m *Message) SessionExpires() (interval time.Duration, by Refresher, ok bool) {
	n, ok := m.Number(HSessionExpires)
	if !ok {
		return 0, NoRefresher, false
	}
	value := m.Get(HSessionExpires)
	rest, _, _ := cutByte(value, ';')
	if v, named := findParam(value[len(rest):], "refresher"); named {
		switch {
		case equalFoldAny(v, "uac"):
			by = UAC
		case equalFoldAny(v, "uas"):
			by = UAS
		}
	}
	return time.Duration(min(n, 1<<31-1)) * time.Second, by, true
}

// MinSE returns the smallest session interval a peer takes; 0 without the header.
func (m *Message) MinSE() time.Duration {
	n, _ := m.Number(HMinSE)
	return time.Duration(min(n, 1<<31-1)) * time.Second
}
