package registrar

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Answer is what a REGISTER gets.
type Answer struct {
	Status     int
	Reason     string        // empty: the standard one
	MinExpires time.Duration // of a 423; else 0
	Bindings   []Binding     // of a 200: all there are now
}

// request is what a REGISTER asks for.
type request struct {
	callID   string
	cseq     uint32
	all      bool // Contact: *
	contacts []contact
}

// contact is one binding that is wished for.
type contact struct {
	Binding
	expires time.Duration // 0: to be removed
}

// Register does what an authenticated REGISTER of the agent asks for, all of it or nothing. RFC 3261 §10.3 steps 6 to 8. A
// REGISTER without Contact asks what there is.
func (r *Registrar) Register(now time.Time, agent string, m *wire.Message, f transport.Flow) Answer {
	a := r.register(now, agent, m, f)
	if a.Status == 200 {
		r.Accepted.Add(1)
	} else {
		r.Refused.Add(1)
	}
	return a
}

func (r *Registrar) register(now time.Time, agent string, m *wire.Message, f transport.Flow) Answer {
	q, refusal := r.read(now, m, f)
	if refusal != nil {
		return *refusal
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := slices.Clone(r.live(agent, now))
	if q.all {
		if slices.ContainsFunc(next, q.outdated) {
			return Answer{Status: 500, Reason: "CSeq Out of Order"}
		}
		delete(r.agents, agent)
		r.touch(agent)
		return Answer{Status: 200}
	}
	for _, c := range q.contacts {
		at := slices.IndexFunc(next, func(b Binding) bool { return b.key == c.key })
		if at >= 0 && q.outdated(next[at]) {
			return Answer{Status: 500, Reason: "CSeq Out of Order"}
		}
		switch {
		case c.expires == 0 && at >= 0:
			next = slices.Delete(next, at, at+1)
		case c.expires == 0:
		case at >= 0:
			next[at] = c.Binding
		default:
			next = append(next, c.Binding)
		}
	}
	if len(next) > r.o.Contacts {
		return Answer{Status: 403, Reason: "Too Many Contacts"}
	}
	order(next)
	if len(q.contacts) > 0 {
		r.touch(agent)
	}
	if len(next) == 0 {
		delete(r.agents, agent)
	} else {
		r.agents[agent] = next
	}
	return Answer{Status: 200, Bindings: slices.Clone(next)}
}

// outdated tells whether the binding was made by a later request of the same client. RFC 3261 §10.3 step 7.
func (q *request) outdated(b Binding) bool { return b.CallID == q.callID && b.CSeq >= q.cseq }

// read reads what a REGISTER asks for, or refuses it.
func (r *Registrar) read(now time.Time, m *wire.Message, f transport.Flow) (q request, refusal *Answer) {
	q = request{callID: string(m.CallID), cseq: m.CSeq}
	usual, given, ok := seconds(m.Get(wire.HExpires))
	if !ok {
		return q, &Answer{Status: 400, Reason: "Bad Expires"}
	}
	if !given {
		usual = r.o.MaxExpires
	}
	longest := r.o.MaxExpires
	if f.Proto.Reliable() {
		longest = r.o.StreamExpires
	}
	device := string(m.Get(wire.HUserAgent))
	for value := range m.Values(wire.HContact) {
		if string(bytes.TrimSpace(value)) == "*" {
			q.all = true
			continue
		}
		address, err := wire.ParseAddress(value)
		if err != nil {
			return q, &Answer{Status: 400, Reason: "Bad Contact"}
		}
		uri, err := wire.ParseURI(address.URI)
		if err != nil || !isSIP(uri.Scheme) {
			return q, &Answer{Status: 400, Reason: "Bad Contact"}
		}
		c := contact{expires: usual, Binding: Binding{URI: string(address.URI), Flow: f, Q: 1, CallID: q.callID, CSeq: q.cseq, Agent: device[:min(len(device), 64)]}}
		if text, some := address.Param("expires"); some {
			own, given, ok := seconds(text)
			if !ok {
				return q, &Answer{Status: 400, Reason: "Bad Expires"}
			}
			if given {
				c.expires = own
			}
		}
		if text, some := address.Param("q"); some {
			if c.Q, ok = quality(text); !ok {
				return q, &Answer{Status: 400, Reason: "Bad Contact"}
			}
		}
		instance, _ := address.Param("+sip.instance")
		number, _ := address.Param("reg-id")
		if c.Instance = string(instance); c.Instance != "" && len(number) > 0 {
			c.key = c.Instance + " " + string(number) // the same device over the same flow, whatever its address is now: RFC 5626 §6
		} else {
			c.key = keyOf(&uri)
		}
		c.place()
		if c.expires > 0 && c.expires < r.o.MinExpires {
			return q, &Answer{Status: 423, MinExpires: r.o.MinExpires}
		}
		c.expires = min(c.expires, longest)
		c.Expires, c.Seen = now.Add(c.expires), now
		if slices.ContainsFunc(q.contacts, func(other contact) bool { return other.key == c.key }) {
			continue
		}
		if len(q.contacts) == r.o.Contacts {
			return q, &Answer{Status: 403, Reason: "Too Many Contacts"}
		}
		q.contacts = append(q.contacts, c)
	}
	if q.all && (len(q.contacts) > 0 || !given || usual != 0) {
		return q, &Answer{Status: 400, Reason: "Bad Contact"} // RFC 3261 §10.3 step 6
	}
	return q, nil
}

func isSIP(scheme []byte) bool {
	return bytes.EqualFold(scheme, []byte("sip")) || bytes.EqualFold(scheme, []byte("sips"))
}

// keyOf is what two URIs must have in common to be the same binding: RFC 3261 §19.1.4, as far as registrars meet it. The user is
// compared byte by byte, host and transport without case.
func keyOf(u *wire.URI) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(string(u.Scheme)))
	b.WriteByte(':')
	b.Write(u.User)
	b.WriteByte('@')
	b.WriteString(strings.ToLower(string(u.Host)))
	b.WriteByte(':')
	b.WriteString(strconv.Itoa(u.Port))
	if transport, some := u.Param("transport"); some {
		b.WriteString(";transport=")
		b.WriteString(strings.ToLower(string(transport)))
	}
	return b.String()
}

// seconds reads an expiry: digits, more than 2^32-1 of them clamped. RFC 3261 §20.19 and §25.1; nonsense is ok false.
func seconds(text []byte) (d time.Duration, given, ok bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return 0, false, true
	}
	n := uint64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, true, false
		}
		n = min(n*10+uint64(c-'0'), 1<<32-1)
	}
	return time.Duration(n) * time.Second, true, true
}

// quality reads a q value, 0 to 1 with up to three decimals. RFC 3261 §25.1.
func quality(text []byte) (float64, bool) {
	if len(text) == 0 || len(text) > 5 || text[0] != '0' && text[0] != '1' {
		return 0, false
	}
	for i, c := range text {
		if c != '.' && (c < '0' || c > '9') || c == '.' && i != 1 {
			return 0, false
		}
	}
	q, err := strconv.ParseFloat(string(text), 64)
	return q, err == nil && q <= 1
}

// AppendContacts appends the Contact lines of a 200: every binding with what is left of it. RFC 3261 §10.3 step 8.
func AppendContacts(b []byte, bindings []Binding, now time.Time) []byte {
	for i := range bindings {
		left := max(bindings[i].Expires.Sub(now).Round(time.Second)/time.Second, 1)
		b = append(append(append(b, "Contact: <"...), bindings[i].URI...), ">;expires="...)
		b = strconv.AppendInt(b, int64(left), 10)
		if bindings[i].Q < 1 {
			b = append(b, ";q="...)
			b = strconv.AppendFloat(b, bindings[i].Q, 'g', 3, 64)
		}
		if bindings[i].Instance != "" {
			b = append(append(append(b, `;+sip.instance="`...), bindings[i].Instance...), '"')
		}
		b = append(b, "\r\n"...)
	}
	return b
}
