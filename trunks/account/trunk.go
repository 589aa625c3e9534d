package account

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"trunkline/config"
	"trunkline/trunks/provider"
)

// fieldNames are what a door of the API calls the settings of a trunk.
type fieldNames struct {
	server, domain, transport, user, password, realm, register, description, sources, format, country, cps, key, calls string
}

var connectionFields = fieldNames{server: "sip_config.server", domain: "sip_config.domain", transport: "sip_config.transport", user: "credentials.sipUsername",
	password: "credentials.sipPassword", realm: "credentials.authRealm", register: "sip_config.register", description: "name", sources: "sip_config.source_addresses",
	format: "sip_config.number_format", country: "sip_config.country", cps: "sip_config.cps_limit", key: "sip_config.cps_key", calls: "sip_config.max_calls"}

var manualFields = func() fieldNames {
	f := connectionFields
	f.user, f.password = "credentials.username", "credentials.password"
	return f
}()

var credentialFields = fieldNames{server: "server", domain: "domain", transport: "transport", user: "authUser", password: "authPassword", realm: "realm",
	register: "register", description: "description", sources: "sourceAddresses", format: "numberFormat", country: "country", cps: "cpsLimit", key: "cpsKey", calls: "maxCalls"}

// trunkOf makes the SIP credential of a connection: what sip_config says, else the provider's preset. The error is an
// *Invalid with all that does not fit.
func (s *Service) trunkOf(org string, kind provider.Kind, o Outcome) (SIPCredential, error) {
	c, preset := o.SIPConfig, provider.PresetOf(kind)
	t := SIPCredential{Org: org, Source: SourceProvider}
	if kind == provider.Manual {
		t.Source = SourceManual
	}
	t.Domain = deref(c.Domain)
	t.Server = firstOf(deref(c.Server), t.Domain, preset.Server)
	t.Transport = firstOf(deref(c.Transport), string(preset.Transport), string(config.UDP))
	t.SourceAddresses = preset.SourceAddresses
	if c.SourceAddresses != nil {
		t.SourceAddresses = *c.SourceAddresses
	}
	names := connectionFields
	switch kind {
	case provider.Manual:
		names = manualFields
		t.AuthUser, t.Password = o.Credentials["username"].Reveal(), o.Credentials["password"]
		t.Realm = firstOf(o.Credentials["authRealm"].Reveal(), deref(c.Domain)) // 7.8: the domain is the expected realm
	case provider.Vonage:
		t.AuthUser, t.Password = o.Credentials["apiKey"].Reveal(), o.Credentials["apiSecret"]
	}
	if user := o.Credentials["sipUsername"].Reveal(); user != "" && kind != provider.Manual {
		t.AuthUser, t.Password = user, o.Credentials["sipPassword"]
	}
	t.Register = t.AuthUser != ""
	if preset.Register != nil {
		t.Register = *preset.Register && t.AuthUser != ""
	}
	if c.Register != nil {
		t.Register = *c.Register
	}
	t.RegisterExpires = preset.RegisterExpires
	t.NumberFormat = firstOf(deref(c.NumberFormat), preset.NumberFormat, formatE164Plus)
	t.CPSLimit, t.CPSKey, t.MaxCalls = preset.CPSLimit, deref(c.CPSKey), c.MaxCalls
	if c.CPSLimit != nil {
		t.CPSLimit = c.CPSLimit
	}
	var p problems
	t.CountryCode = p.callingCode(names.country, deref(c.Country), t.NumberFormat)
	p.e164("sip_config.test_number", deref(c.TestNumber))
	if to := deref(c.TestDestination); !strings.HasPrefix(to, "sip:") && !strings.HasPrefix(to, "sips:") {
		p.e164("sip_config.test_destination", to)
	}
	s.checkTrunk(&p, names, t)
	return t, p.err()
}

const (
	formatE164Plus = "e164_plus"
	formatDigits   = "e164"
	formatNational = "national"
)

// checkTrunk finds everything that keeps t from being a trunk of the engine.
func (s *Service) checkTrunk(p *problems, names fieldNames, t SIPCredential) {
	text(p, names.server, t.Server, 1, 255)
	for _, limit := range []struct {
		field, value string
		most         int
	}{{names.domain, t.Domain, 255}, {names.user, t.AuthUser, 255}, {names.description, t.Description, 255}, {names.key, t.CPSKey, 255}, {names.realm, t.Realm, 255}} {
		text(p, limit.field, limit.value, 0, limit.most)
	}
	if n := len([]rune(t.Password.Reveal())); n > 64 {
		p.add(names.password, "up to 64 characters", "has %d characters", n)
	} else if strings.ContainsAny(t.Password.Reveal(), "\r\n\x00") {
		p.add(names.password, "one line", "holds a line end")
	}
	if strings.ContainsAny(t.AuthUser+t.Realm, "\"\\") {
		p.add(names.user, "no quotes and no backslashes", "does not fit into a header")
	}
	if t.CPSLimit != nil && !(*t.CPSLimit > 0 && *t.CPSLimit <= 10_000) {
		p.add(names.cps, "above 0 and up to 10000, or null", "%v is out of range", *t.CPSLimit)
	}
	if t.MaxCalls != nil && (*t.MaxCalls < 1 || *t.MaxCalls > 1_000_000) {
		p.add(names.calls, "1 to 1000000, or null", "%d is out of range", *t.MaxCalls)
	}
	if t.Register && t.AuthUser == "" {
		p.add(names.register, "give a user name, or set it to false", "is true, but there is no user to register")
	}
	if len(t.SourceAddresses) > maxSources {
		p.add(names.sources, fmt.Sprintf("up to %d entries", maxSources), "has %d entries", len(t.SourceAddresses))
	}
	if _, err := t.engineTrunk(); err != nil {
		for _, bad := range unjoin(err) {
			if wrong, ok := errors.AsType[*settingError](bad); ok {
				p.add(wrong.field(names), wrong.allowed, "%v", wrong.err)
			}
		}
	}
	s.checkReach(p, names, t)
}

const maxSources = 256

// checkReach: requests need a listener to leave from, and go to private addresses only where the operator lets them.
func (s *Service) checkReach(p *problems, names fieldNames, t SIPCredential) {
	if len(s.o.Transports) > 0 && !slices.Contains(s.o.Transports, t.Transport) && slices.Contains([]string{"udp", "tcp", "tls"}, t.Transport) {
		p.add(names.transport, strings.Join(s.o.Transports, ", "), "%s has no listener here", t.Transport)
	}
	var server config.HostPort
	if err := server.UnmarshalText([]byte(t.Server)); err != nil || s.o.AllowPrivate {
		return
	}
	addr, literal := server.Addr()
	if literal && !Public(addr) || !literal && (server.Host == "localhost" || strings.HasSuffix(server.Host, ".localhost")) {
		p.add(names.server, "a public address, or set probe.allow_private_targets in the configuration", "is a loopback, private or reserved address")
	}
}

// settingError is one setting that the engine could not use.
type settingError struct {
	field   func(fieldNames) string
	err     error
	allowed string
}

func (e *settingError) Error() string { return e.err.Error() }

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// engineTrunk is t as the engine knows trunks. The error joins a *settingError for each setting it cannot use.
func (t SIPCredential) engineTrunk() (config.Trunk, error) {
	c := config.DefaultTrunk()
	var wrong []error
	bad := func(err error, allowed string, field func(fieldNames) string) {
		if err != nil {
			wrong = append(wrong, &settingError{field, err, allowed})
		}
	}
	c.Name = t.Trunk
	bad(c.Server.UnmarshalText([]byte(t.Server)), "host, host:port or [v6]:port", func(f fieldNames) string { return f.server })
	var domain config.HostPort
	bad(domain.UnmarshalText([]byte(t.Domain)), "a host", func(f fieldNames) string { return f.domain })
	if domain.Port != 0 {
		bad(errors.New("has a port"), "a host without port", func(f fieldNames) string { return f.domain })
	}
	c.Domain = domain.Host
	switch transport := config.Transport(t.Transport); transport {
	case config.UDP, config.TCP, config.TLSTransport:
		c.Transport = transport
	default:
		bad(errors.New("is unknown"), "udp, tcp, tls", func(f fieldNames) string { return f.transport })
	}
	if t.RegisterExpires > 0 {
		c.RegisterExpires = config.Duration(t.RegisterExpires)
	}
	c.Realm, c.AuthUser, c.AuthPassword, c.Register = t.Realm, t.AuthUser, t.Password, t.Register
	sources, err := parseSources(t.SourceAddresses)
	bad(err, "addresses, networks or host names", func(f fieldNames) string { return f.sources })
	if c.SourceAddresses = sources; len(t.SourceAddresses) == 0 {
		c.SourceAddresses = []config.Source{sourceOf(c.Server)}
	}
	if t.CPSLimit != nil {
		c.CPSLimit = new(*t.CPSLimit)
	}
	if t.CPSKey != "" {
		c.CPSKey = t.Org + "/" + t.CPSKey // a key means nothing to other organizations
	}
	c.MaxCalls = t.MaxCalls
	switch t.NumberFormat {
	case formatE164Plus, "":
		c.NumberFormat = config.FormatE164
	case formatDigits:
		c.NumberFormat = config.FormatDigits
	case formatNational:
		c.NumberFormat = config.FormatNational
	default:
		bad(errors.New("is unknown"), "e164_plus, e164, national", func(f fieldNames) string { return f.format })
	}
	c.CountryCode, c.NationalPrefix = t.CountryCode, t.NationalPrefix
	return c, errors.Join(wrong...)
}

// sourceOf: calls come from where ours go to, unless somebody says otherwise.
func sourceOf(server config.HostPort) config.Source {
	if a, ok := server.Addr(); ok {
		return config.Source{Prefix: netip.PrefixFrom(a, a.BitLen())}
	}
	return config.Source{Host: server.Host}
}

func parseSources(texts []string) ([]config.Source, error) {
	sources := make([]config.Source, len(texts))
	for i, text := range texts {
		if err := sources[i].UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
		if p := sources[i].Prefix; p.IsValid() && (p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 19) {
			return nil, fmt.Errorf("%q is too large a network", text)
		}
	}
	return sources, nil
}

// callingCode reads a country: ISO 3166 code or the digits of its calling code.
func (p *problems) callingCode(field, country, format string) string {
	const allowed = "a country of two letters as DE, or a calling code as 49"
	if country == "" {
		if format == formatNational {
			p.add(field, allowed, "is missing, and number_format is national")
		}
		return ""
	}
	digits := strings.TrimPrefix(country, "+")
	if len(digits) <= 3 && strings.Trim(digits, "0123456789") == "" && digits != "" && digits[0] != '0' {
		return digits
	}
	if code := provider.CallingCode(strings.ToUpper(country)); code != "" {
		return code
	}
	p.add(field, allowed, "%.8q is no country", country)
	return ""
}

func (p *problems) e164(field, number string) {
	if number != "" && !isE164(number) {
		p.add(field, "a plus and 7 to 15 digits", "is not an E.164 number")
	}
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
