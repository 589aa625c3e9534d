package peers

import "regexp"

// AnswerMode says what happens to calls from now on: "auto", "early" for a 183 with a description first, or "manual".
func (p *Phone) AnswerMode(mode string) { p.command("answermode", mode) }

// Send sends a digit as a telephone event.
func (p *Phone) Send(digit byte) { p.command("sndcode", string(digit)) }

var (
	baresipDigit     = regexp.MustCompile(`received event: '(.)' \(end=1\)`)
	baresipDirection = regexp.MustCompile(`(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r?$`)
	offering         = regexp.MustCompile(`(?m)^(INVITE|UPDATE) sips?:`)
)

// Digits are the telephone events that it has received.
func (p *Phone) Digits() (digits string) {
	for _, match := range baresipDigit.FindAllStringSubmatch(p.Log(), -1) {
		digits += match[1]
	}
	return digits
}

// Connected and Ended are how many calls were, Rang how many of its own rang at the other side, and Early how many had a description
// before the answer.
func (p *Phone) Connected() int { return p.Count("CALL_ESTABLISHED") }
func (p *Phone) Ended() int     { return p.Count("CALL_CLOSED") }
func (p *Phone) Rang() int      { return p.Count("CALL_RINGING") + p.Early() }
func (p *Phone) Early() int     { return p.Count("CALL_PROGRESS") }

// Held reports whether the other side has put its call on hold, by what it answered last.
func (p *Phone) Held() bool {
	all := baresipDirection.FindAllStringSubmatch(p.Log(), -1)
	return len(all) > 0 && all[len(all)-1][1] != "sendrecv"
}

// Offers is how many INVITEs and UPDATEs it has sent and received.
func (p *Phone) Offers() int { return len(offering.FindAllString(p.Log(), -1)) }
