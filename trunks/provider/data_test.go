package provider

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/config"
)

func here() []netip.Addr { return []netip.Addr{ourAddress} }

func TestPresets(t *testing.T) {
	for _, kind := range Kinds {
		p := PresetOf(kind)
		if !slices.Contains([]config.Transport{config.UDP, config.TCP, config.TLSTransport}, p.Transport) {
			t.Errorf("%s: transport %q", kind, p.Transport)
		}
		if !slices.Contains([]string{"e164_plus", "e164", "national"}, p.NumberFormat) {
			t.Errorf("%s: number_format %q", kind, p.NumberFormat)
		}
		for _, source := range p.SourceAddresses {
			var s config.Source
			if err := s.UnmarshalText([]byte(source)); err != nil {
				t.Errorf("%s: source_addresses: %v", kind, err)
			}
		}
	}
	if p := PresetOf(Telnyx); p.Server != "sip.telnyx.com" || p.Register == nil || !*p.Register || p.RegisterExpires != 3*time.Minute || *p.CPSLimit != 50 {
		t.Errorf("telnyx: %+v", p)
	}
	if p := PresetOf(Twilio); p.Register == nil || *p.Register || p.OptionsInterval != 15*time.Second || len(p.SourceAddresses) != 8 {
		t.Errorf("twilio: %+v", p)
	}
	PresetOf(Twilio).SourceAddresses[0] = "changed"
	if PresetOf(Twilio).SourceAddresses[0] == "changed" {
		t.Error("a caller can change the presets")
	}
}

func TestPresetMistakes(t *testing.T) {
	for _, bad := range []string{
		"- {provider: acme, field: server, value: x, source: s, date: 2026-01-01}",
		"- {provider: telnyx, field: sever, value: x, source: s, date: 2026-01-01}",
		"- {provider: telnyx, field: server, value: 5, source: s, date: 2026-01-01}",
		"- {provider: telnyx, field: server, value: x, date: 2026-01-01}",
		"- {provider: telnyx, field: server, value: x, source: s}",
		"- {provider: telnyx, field: register_expires, value: soon, source: s, date: 2026-01-01}",
		"- {provider: telnyx, filed: server}",
	} {
		if _, err := parsePresets([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestCountriesOf(t *testing.T) {
	for number, want := range map[string]string{
		"+14155550100": "US,CA", "+18765550100": "JM", "+353861234567": "IE", "+442071234567": "GB,GG,IM,JE", "+77012345678": "KZ", "+79161234567": "RU",
		"+9990000": "", "": "", "112": "", "+": "",
	} {
		if got := slices.Collect(slices.Values(countriesOf(number))); joined(got) != want {
			t.Errorf("%s: %q, want %q", number, joined(got), want)
		}
	}
	for code, list := range countries() {
		for _, country := range list {
			if len(country) != 2 {
				t.Errorf("%s: %q is no ISO 3166-1 alpha-2 code", code, country)
			}
		}
	}
}

func joined(list []string) string {
	var text strings.Builder
	for i, s := range list {
		if i > 0 {
			text.WriteString(",")
		}
		text.WriteString(s)
	}
	return text.String()
}

func TestPointsAtUs(t *testing.T) {
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "alias.example.org" {
			return []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("::ffff:203.0.113.7")}, nil
		}
		return nil, errors.New("no such host")
	}
	l := Line{Addresses: []netip.Addr{ourAddress, netip.MustParseAddr("2001:db8::7")}, Hosts: []string{"edge.example.net"}}
	for uri, want := range map[string]bool{
		"sip:203.0.113.7": true, "SIPS:a@203.0.113.7:5061;transport=tls": true, "203.0.113.7": true, "203.0.113.7:5060": true,
		"sip:[2001:db8::7]:5060": true, "2001:db8::7": true, "sip:EDGE.example.net.": true, "sip:x@alias.example.org?h=1": true,
		"sip:203.0.113.8": false, "sip:": false, "": false, "sip:[2001:db8::7": false, "sip:other.example.net": false, "sip:edge.example.net@evil.example": false,
	} {
		if got := pointsAtUs(t.Context(), resolve, uri, l); got != want {
			t.Errorf("%q: %v, want %v", uri, got, want)
		}
	}
}
