package wire

// Via is one Via value (RFC 3261 §20.42).
type Via struct {
	Transport  []byte // as received: "UDP"
	Host       []byte // an IPv6 reference keeps its brackets
	Port       int    // of sent-by, 1 to 65535; 0 without one
	Branch     []byte // nil without one, which means an RFC 2543 peer
	Received   []byte // without brackets taken off or put on; nil without one
	RPort      bool   // the parameter is there (RFC 3581)
	RPortValue int    // 0 while it only asks
	Params     []byte // with the leading ';'

	head   []byte // sent-protocol and sent-by as received
	sentBy []byte
}

// ParseVia reads one Via value that fills b. It returns a *Error with CauseVia if it is broken.
func ParseVia(b []byte) (Via, error) {
	var v Via
	end, state := v.parse(b, 0)
	if state != viaGood || end != len(b) {
		return Via{}, failures[failVia].answer
	}
	return v, nil
}

// SentBy returns host and port as received.
func (v *Via) SentBy() []byte { return v.sentBy }

// Param returns the value of a parameter; its name is compared without case and quotes are taken off the value.
func (v *Via) Param(name string) (value []byte, ok bool) { return findParam(v.Params, name) }

// viaState tells how much of a Via could be read.
type viaState uint8

const (
	viaUnreadable viaState = iota // no sent-by: no response can be built
	viaBroken                     // sent-by is good, a parameter is not; Params ends before it
	viaGood
)

// parse reads the Via value at b[i:] up to the end or a comma, whose index it returns.
func (v *Via) parse(b []byte, i int) (end int, state viaState) {
	*v = Via{}
	i = skipBlank(b, i)
	start := i
	if len(b)-i > 8 && string(b[i:i+8]) == "SIP/2.0/" {
		i += 8
	} else {
		for range 2 {
			word := i
			for i < len(b) && charClass[b[i]]&tokenChar != 0 {
				i++
			}
			if i == word {
				return i, viaUnreadable
			}
			i = skipBlank(b, i)
			if i == len(b) || b[i] != '/' {
				return i, viaUnreadable
			}
			i = skipBlank(b, i+1)
		}
	}
	word := i
	for i < len(b) && charClass[b[i]]&tokenChar != 0 {
		i++
	}
	v.Transport = b[word:i]
	word = skipBlank(b, i)
	if len(v.Transport) == 0 || word == i {
		return i, viaUnreadable
	}
	i, port, ok := hostPort(b, word, &v.Host, true)
	v.Port = port
	if !ok {
		return i, viaUnreadable
	}
	v.sentBy = b[word:i:i]
	v.head = b[start:i:i]
	params := i
	i = skipBlank(b, i)
	for i < len(b) && b[i] == ';' {
		name, value, next, ok := nextParam(b, i)
		if !ok || !v.take(name, value) {
			v.Params = trim(b[params:i])
			return next, viaBroken
		}
		i = next
	}
	v.Params = trim(b[params:i])
	if i < len(b) && b[i] != ',' {
		return i, viaBroken
	}
	return i, viaGood
}

// take keeps the parameters we know and reports whether they are sound.
func (v *Via) take(name, value []byte) bool {
	switch len(name) {
	case len("rport"):
		if equalFold(name, "rport") {
			port, ok := decimal(value, 65535)
			if v.RPort || len(value) > 0 && (!ok || port > 65535) {
				return false
			}
			v.RPort, v.RPortValue = true, int(port)
		}
	case len("branch"):
		if equalFold(name, "branch") {
			// Two branches name two transactions, and the bare cookie none (RFC 4475 §3.2.1).
			if v.Branch != nil || len(value) == 0 || value[0] == '"' || string(value) == BranchCookie {
				return false
			}
			v.Branch = value
		}
	case len("received"):
		if equalFold(name, "received") {
			v.Received = value
		}
	}
	return true
}

// BranchCookie begins every branch of an RFC 3261 transaction (§8.1.1.7).
const BranchCookie = "z9hG4bK"
