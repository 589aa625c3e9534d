package provider

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"trunkline/config"
)

// Credentials of an account by the names the API has for them. No formatter or encoder prints the values.
type Credentials map[string]config.Secret

// Field describes one credential.
type Field struct {
	Name    string
	Secret  bool   // never shown again; the others tell which account it is
	Allowed string // in words
	pattern *regexp.Regexp
}

const (
	longestCredential = 512 // characters
	sixteenBytes      = `[0-9a-fA-F]{32}`
)

var (
	printable = regexp.MustCompile(`^[\x21-\x7e]+$`)
	sipSecret = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)
)

var (
	sipUsername = Field{Name: "sipUsername", Allowed: "up to 255 printable characters without spaces", pattern: printable}
	sipPassword = Field{Name: "sipPassword", Secret: true, Allowed: "one line", pattern: sipSecret}
)

// fields of each provider, providers.md §8.
var fields = map[Kind][]Field{
	Twilio: {
		{Name: "apiKey", Allowed: "SK and 32 hex digits", pattern: regexp.MustCompile(`^SK` + sixteenBytes + `$`)},
		{Name: "apiSecret", Secret: true, Allowed: "printable characters without spaces", pattern: printable},
		{Name: "accountSid", Allowed: "AC and 32 hex digits", pattern: regexp.MustCompile(`^AC` + sixteenBytes + `$`)},
		{Name: "authToken", Secret: true, Allowed: "32 hex digits", pattern: regexp.MustCompile(`^` + sixteenBytes + `$`)},
		{Name: "trunkSid", Allowed: "TK and 32 hex digits", pattern: regexp.MustCompile(`^TK` + sixteenBytes + `$`)},
		sipUsername, sipPassword,
	},
	Telnyx: {
		{Name: "apiKey", Secret: true, Allowed: "printable characters without spaces", pattern: printable},
		{Name: "connectionId", Allowed: "digits", pattern: regexp.MustCompile(`^[0-9]{1,20}$`)},
		sipUsername, sipPassword,
	},
	SignalWire: {
		{Name: "projectId", Allowed: "a UUID", pattern: regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)},
		{Name: "apiToken", Secret: true, Allowed: "printable characters without spaces", pattern: printable},
		{Name: "spaceUrl", Allowed: "the name of the space, as acme.signalwire.com", pattern: regexp.MustCompile(`^(https://)?[a-zA-Z0-9][a-zA-Z0-9-]{0,62}(\.signalwire\.com)?/?$`)},
		sipUsername, sipPassword,
	},
	Vonage: {
		{Name: "apiKey", Allowed: "letters and digits", pattern: regexp.MustCompile(`^[0-9a-zA-Z]+$`)},
		{Name: "apiSecret", Secret: true, Allowed: "printable characters without spaces", pattern: printable},
		sipUsername, sipPassword,
	},
	Manual: {
		{Name: "username", Allowed: "up to 255 printable characters without spaces", pattern: printable},
		{Name: "password", Secret: true, Allowed: "one line", pattern: sipSecret},
		{Name: "authRealm", Allowed: "one line", pattern: sipSecret},
	},
}

// CredentialError is one credential that cannot be right, told without its value.
type CredentialError struct {
	Field   string // as "apiKey"
	Problem string // as "is missing"
	Allowed string // may be empty
}

func (e *CredentialError) Error() string {
	text := e.Field + " " + e.Problem
	if e.Allowed != "" {
		text += "; allowed: " + e.Allowed
	}
	return text
}

// Check returns all that is wrong with the shape of c, each a *CredentialError, joined; nil when it may be tried.
func Check(kind Kind, c Credentials) error {
	known, ok := fields[kind]
	if !ok {
		return &CredentialError{Field: "provider", Problem: fmt.Sprintf("%q is unknown", clean(string(kind), 32)), Allowed: "twilio, telnyx, signalwire, vonage, manual"}
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !slices.ContainsFunc(known, func(f Field) bool { return f.Name == name }) {
			wrong = append(wrong, &CredentialError{Field: clean(name, 32), Problem: "is no credential of " + kind.Label(), Allowed: names(known)})
		}
	}
	for _, f := range known {
		value := c[f.Name].Reveal()
		if value != "" && (len(value) > longestCredential || !f.pattern.MatchString(value)) {
			wrong = append(wrong, &CredentialError{Field: f.Name, Problem: "has the wrong form", Allowed: f.Allowed})
		}
	}
	return errors.Join(append(wrong, missing(kind, c)...)...)
}

// missing names the credentials without which nothing can be asked.
func missing(kind Kind, c Credentials) (wrong []error) {
	want := func(names ...string) {
		for _, name := range names {
			if c[name] == "" {
				wrong = append(wrong, &CredentialError{Field: name, Problem: "is missing"})
			}
		}
	}
	switch kind {
	case Twilio:
		if c["authToken"] != "" && c["apiKey"] == "" && c["apiSecret"] == "" {
			want("accountSid")
			break
		}
		want("apiKey", "apiSecret")
	case Telnyx:
		want("apiKey")
	case SignalWire:
		want("projectId", "apiToken", "spaceUrl")
	case Vonage:
		want("apiKey", "apiSecret")
	case Manual:
		if c["password"] != "" {
			want("username")
		}
	}
	if c["sipPassword"] != "" {
		want("sipUsername")
	}
	return wrong
}

func names(known []Field) string {
	all := make([]string, len(known))
	for i, f := range known {
		all[i] = f.Name
	}
	return strings.Join(all, ", ")
}

// Merge returns stored with what changes has in its place. An empty value takes a credential away.
func Merge(stored, changes Credentials) Credentials {
	merged := maps.Clone(stored)
	if merged == nil {
		merged = Credentials{}
	}
	for name, value := range changes {
		if value == "" {
			delete(merged, name)
			continue
		}
		merged[name] = value
	}
	return merged
}

// secrets are the values that may appear nowhere, least of all in what a provider says about them.
func (c Credentials) secrets(kind Kind) []string {
	var all []string
	for _, f := range fields[kind] {
		if value := c[f.Name].Reveal(); f.Secret && len(value) >= shortestSecret {
			all = append(all, value)
		}
	}
	return all
}

const shortestSecret = 4 // characters; shorter ones would blot out ordinary words

// Complete fills in what the SIP domain tells: the space of a SignalWire domain as acme-1a2b3c.sip.signalwire.com.
func Complete(kind Kind, c Credentials, domain string) Credentials {
	label, ok := strings.CutSuffix(strings.ToLower(domain), ".sip.signalwire.com")
	if kind != SignalWire || !ok || c["spaceUrl"] != "" {
		return c
	}
	if at := strings.LastIndexByte(label, '-'); at > 0 {
		label = label[:at]
	}
	return Merge(c, Credentials{"spaceUrl": config.Secret(label + ".signalwire.com")})
}

// clean makes text of a peer fit for a message: no control characters, at most longest characters.
func clean(text string, longest int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(text, "?") {
		if n++; n > longest {
			b.WriteRune('…')
			break
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
