package siptest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// message is a SIP message as read from the wire, or as a script is building it.
type message struct {
	method, uri string // request
	status      int    // response; 0 for a request
	reason      string
	headers     []header
	body        []byte
}

type header struct{ name, value string }

// longNames are the compact forms of RFC 3261 §7.3.3 and of the extensions that define one.
var longNames = map[string]string{
	"i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type", "f": "From",
	"s": "Subject", "k": "Supported", "t": "To", "v": "Via", "r": "Refer-To", "b": "Referred-By", "x": "Session-Expires",
	"o": "Event", "u": "Allow-Events", "a": "Accept-Contact", "j": "Reject-Contact", "d": "Request-Disposition", "y": "Identity",
}

// parseMessage reads one message strictly: CRLF everywhere, no folding, no control characters. What the edge sends must be
// that clean; what scripts send need not be parsed.
func parseMessage(b []byte) (*message, error) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, fmt.Errorf("no empty line after the headers")
	}
	lines := strings.Split(string(head), "\r\n")
	m := &message{body: body}
	if err := m.parseStart(lines[0]); err != nil {
		return nil, err
	}
	for _, line := range lines {
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
			return nil, fmt.Errorf("control character %q in %q", line[i], line)
		}
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("not a header: %q", line)
		}
		if long, ok := longNames[strings.ToLower(name)]; ok {
			name = long
		}
		m.headers = append(m.headers, header{name, strings.Trim(value, " \t")})
	}
	return m, nil
}

func (m *message) parseStart(line string) error {
	if rest, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
		code, reason, ok := strings.Cut(rest, " ")
		status, err := strconv.Atoi(code)
		if !ok || err != nil || len(code) != 3 || status < 100 || status > 699 {
			return fmt.Errorf("bad status line %q", line)
		}
		m.status, m.reason = status, reason
		return nil
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "SIP/2.0" || parts[0] == "" || parts[1] == "" {
		return fmt.Errorf("bad request line %q", line)
	}
	m.method, m.uri = parts[0], parts[1]
	return nil
}

// first is the first line without the version, for people.
func (m *message) first() string {
	if m.status == 0 {
		return m.method + " " + m.uri
	}
	_, method := m.cseq()
	return fmt.Sprintf("%d %s (%s)", m.status, m.reason, method)
}

// bytes is the message as sent. Content-Length must be among the headers if it shall be sent.
func (m *message) bytes() []byte {
	var b bytes.Buffer
	if m.status == 0 {
		fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", m.method, m.uri)
	} else {
		fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", m.status, m.reason)
	}
	for _, h := range m.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes()
}

// get returns the first value of a header, "" if there is none.
func (m *message) get(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

func (m *message) has(name string) bool { return m.count(name) > 0 }

// count is the number of lines a header has.
func (m *message) count(name string) int {
	n := 0
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) {
			n++
		}
	}
	return n
}

// list returns every value of a header whose lines may hold comma-separated lists.
func (m *message) list(name string) []string {
	var values []string
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) {
			values = append(values, splitList(h.value)...)
		}
	}
	return values
}

func (m *message) add(name, value string) { m.headers = append(m.headers, header{name, value}) }

// set replaces every line of a header by one, or adds it at the end.
func (m *message) set(name, value string) {
	for i := range m.headers {
		if strings.EqualFold(m.headers[i].name, name) {
			m.headers[i] = header{name, value}
			rest := m.headers[i+1:]
			m.headers = append(m.headers[:i+1], without(rest, name)...)
			return
		}
	}
	m.add(name, value)
}

func (m *message) remove(name string) { m.headers = without(m.headers, name) }

func without(headers []header, name string) []header {
	var kept []header
	for _, h := range headers {
		if !strings.EqualFold(h.name, name) {
			kept = append(kept, h)
		}
	}
	return kept
}

// cseq returns number and method, 0 and "" when the header cannot be read.
func (m *message) cseq() (uint32, string) {
	number, method, _ := strings.Cut(m.get("CSeq"), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, ""
	}
	return uint32(n), strings.TrimSpace(method)
}

func (m *message) callID() string  { return m.get("Call-ID") }
func (m *message) fromTag() string { return parameter(m.get("From"), "tag") }
func (m *message) toTag() string   { return parameter(m.get("To"), "tag") }

// branch of the topmost Via.
func (m *message) branch() string {
	if vias := m.list("Via"); len(vias) > 0 {
		return parameter(vias[0], "branch")
	}
	return ""
}

// splitList splits at commas outside quotes and angle brackets.
func splitList(s string) []string {
	var items []string
	quoted, angle, start := false, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle++
		case c == '>':
			angle--
		case c == ',' && angle == 0:
			items = append(items, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(items, strings.TrimSpace(s[start:]))
}

// address splits a name-addr or addr-spec into URI and header parameters (RFC 3261 §20.10).
func address(s string) (uri, params string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return s[i+1:], ""
			}
			return s[i+1 : i+end], s[i+end+1:]
		case c == ';':
			return strings.TrimSpace(s[:i]), s[i:]
		}
	}
	return strings.TrimSpace(s), ""
}

// parameter returns a header parameter of an address or Via value, unquoted; "" when absent.
func parameter(value, name string) string {
	params := value
	if strings.ContainsRune(value, '<') || !strings.HasPrefix(value, "SIP/") {
		_, params = address(value)
	}
	got, _ := lookup(params, name)
	return got
}

// lookup finds name in ";a=b;c", quotes respected.
func lookup(params, name string) (string, bool) {
	for _, p := range splitParams(params) {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}

func splitParams(s string) []string {
	var items []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			items = append(items, s[start:i])
			start = i + 1
		}
	}
	return append(items, s[start:])
}

// uriHostPort returns what stands between user part and parameters of a SIP URI.
func uriHostPort(uri string) string {
	_, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return ""
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if i := strings.IndexAny(rest, ";?"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func uriUser(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return ""
	}
	return user
}
