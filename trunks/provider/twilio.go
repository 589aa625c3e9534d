package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

const (
	twilioAPI       = "https://api.twilio.com"
	twilioTrunking  = "https://trunking.twilio.com"
	twilioPageSize  = "1000"
	twilioTrunkPage = "100"
)

// twilio is one account at Twilio: API 2010-04-01 for numbers, Trunking v1 for trunks.
type twilio struct {
	api      client
	trunking client
	account  string // empty: the key does not say; the trunks do
	trunk    string // empty: that of the number
	resolve  Resolve
}

func (d *Directory) openTwilio(c Credentials) (Provider, error) {
	api, err := d.client(Twilio, d.options.Endpoints.Twilio, twilioAPI, c)
	if err != nil {
		return nil, err
	}
	trunking, err := d.client(Twilio, d.options.Endpoints.TwilioTrunking, twilioTrunking, c)
	if err != nil {
		return nil, err
	}
	user, password := c["apiKey"].Reveal(), c["apiSecret"].Reveal()
	if user == "" {
		user, password = c["accountSid"].Reveal(), c["authToken"].Reveal()
	}
	api.authorize = func(r *http.Request) { r.SetBasicAuth(user, password) }
	trunking.authorize = api.authorize
	return &twilio{api: api, trunking: trunking, account: c["accountSid"].Reveal(), trunk: c["trunkSid"].Reveal(), resolve: d.options.Resolve}, nil
}

type twilioTrunk struct {
	SID     string `json:"sid"`
	Account string `json:"account_sid"`
	Name    string `json:"friendly_name"`
	Domain  string `json:"domain_name"`
	Auth    string `json:"auth_type"`
}

type twilioNumber struct {
	Number       string `json:"phone_number"`
	Name         string `json:"friendly_name"`
	Trunk        string `json:"trunk_sid"`
	Status       string `json:"status"`
	Capabilities struct {
		Voice bool `json:"voice"`
	} `json:"capabilities"`
}

// Check asks for one number: a standard key may not read the account itself, and it is a good key all the same.
func (t *twilio) Check(ctx context.Context) error {
	for _, err := range t.list(ctx, url.Values{"PageSize": {"1"}}) {
		return err
	}
	return nil
}

func numbersPath(account string) string {
	return "/2010-04-01/Accounts/" + url.PathEscape(account) + "/IncomingPhoneNumbers.json"
}

// accountSID returns the account, which each trunk names: an API key does not tell it (providers.md fact 7).
func (t *twilio) accountSID(ctx context.Context) (string, error) {
	if t.account != "" {
		return t.account, nil
	}
	for trunk, err := range t.trunks(ctx, "1") {
		if err != nil {
			return "", err
		}
		if trunk.Account != "" {
			return trunk.Account, nil
		}
	}
	return "", &Error{Provider: Twilio, Doing: "find the account", Class: Incomplete, Code: "account_sid_missing", Message: "the API key sees no trunk that would name its account"}
}

// Name is that of the trunk; without one chosen, that of the only trunk.
func (t *twilio) Name(ctx context.Context) (string, error) {
	trunk, found, err := t.choose(ctx, Line{})
	if refused, ok := errors.AsType[*Error](err); ok && refused.Class == Forbidden {
		return "", nil // a restricted key need not read trunks
	}
	if err != nil || found != nil {
		return "", err
	}
	return trunk.Name, nil
}

func (t *twilio) Numbers(ctx context.Context) iter.Seq2[Number, error] {
	return func(yield func(Number, error) bool) {
		for n, err := range t.list(ctx, url.Values{"PageSize": {twilioPageSize}}) {
			if err != nil {
				yield(Number{}, err)
				return
			}
			number := Number{Number: n.Number, Label: clean(n.Name, longestText), Voice: n.Capabilities.Voice, Active: n.Status == "in-use" || n.Status == "", Route: n.Trunk}
			if !yield(number, nil) {
				return
			}
		}
	}
}

// list yields the numbers that query selects, page by page. Links to a next page are relative to the API's host.
func (t *twilio) list(ctx context.Context, query url.Values) iter.Seq2[twilioNumber, error] {
	return func(yield func(twilioNumber, error) bool) {
		const doing = "list numbers"
		account, err := t.accountSID(ctx)
		if err != nil {
			yield(twilioNumber{}, err)
			return
		}
		path := numbersPath(account)
		for range mostPages {
			var answer struct {
				Numbers *[]twilioNumber `json:"incoming_phone_numbers"`
				Next    string          `json:"next_page_uri"`
			}
			if err := t.api.get(ctx, doing, path, query, &answer); err != nil {
				yield(twilioNumber{}, err)
				return
			}
			if answer.Numbers == nil {
				yield(twilioNumber{}, t.api.malformed(doing, "the answer has no incoming_phone_numbers"))
				return
			}
			for _, n := range *answer.Numbers {
				if n.Number = e164(n.Number); n.Number != "" && !yield(n, nil) {
					return
				}
			}
			if path, query = localLink(answer.Next), nil; path == "" {
				return
			}
		}
		yield(twilioNumber{}, t.api.malformed(doing, "the list does not end"))
	}
}

// trunks yields the trunks of the account, page by page.
func (t *twilio) trunks(ctx context.Context, pageSize string) iter.Seq2[twilioTrunk, error] {
	return func(yield func(twilioTrunk, error) bool) {
		const doing = "list trunks"
		path, query := "/v1/Trunks", url.Values{"PageSize": {pageSize}}
		for range mostPages {
			var answer struct {
				Trunks *[]twilioTrunk `json:"trunks"`
				Meta   struct {
					Next string `json:"next_page_url"`
				} `json:"meta"`
			}
			if err := t.trunking.get(ctx, doing, path, query, &answer); err != nil {
				yield(twilioTrunk{}, err)
				return
			}
			if answer.Trunks == nil {
				yield(twilioTrunk{}, t.trunking.malformed(doing, "the answer has no trunks"))
				return
			}
			for _, trunk := range *answer.Trunks {
				if !yield(trunk, nil) {
					return
				}
			}
			if path, query = localLink(answer.Meta.Next), nil; path == "" {
				return
			}
		}
		yield(twilioTrunk{}, t.trunking.malformed(doing, "the list does not end"))
	}
}

func (t *twilio) readTrunk(ctx context.Context, sid string) (twilioTrunk, error) {
	const doing = "read trunk"
	var trunk twilioTrunk
	if err := t.trunking.get(ctx, doing, "/v1/Trunks/"+url.PathEscape(sid), nil, &trunk); err != nil {
		return twilioTrunk{}, err
	}
	if trunk.SID == "" {
		return twilioTrunk{}, t.trunking.malformed(doing, "the answer has no trunk")
	}
	return trunk, nil
}

// choose finds the trunk a line is on: the one given, that of the number, the one with the line's domain, or the only one.
// The finding is set when none is.
func (t *twilio) choose(ctx context.Context, l Line) (twilioTrunk, *Finding, error) {
	sid := t.trunk
	if l.Number != "" {
		number, found, err := t.number(ctx, l.Number)
		if err != nil || found != nil {
			return twilioTrunk{}, found, err
		}
		if f := t.attached(number); f != nil {
			return twilioTrunk{}, f, nil
		}
		sid = number.Trunk
	}
	if sid != "" {
		trunk, err := t.readTrunk(ctx, sid)
		return trunk, nil, err
	}
	var only twilioTrunk
	seen := 0
	for trunk, err := range t.trunks(ctx, twilioTrunkPage) {
		if err != nil {
			return twilioTrunk{}, nil, err
		}
		if l.Domain != "" && sameTermination(l.Domain, trunk.Domain) {
			return trunk, nil, nil
		}
		only, seen = trunk, seen+1
	}
	if seen == 1 {
		return only, nil, nil
	}
	f := unclear("several_trunks", fmt.Sprintf("the account has %d trunks and nothing says which is meant", seen), "Add trunkSid to the credentials, or set sip_config.domain to the trunk's termination URI.")
	if seen == 0 {
		f = failed("no_trunk", "the account has no Elastic SIP trunk", "Make one in the Twilio console: Elastic SIP Trunking, Trunks.")
	}
	return twilioTrunk{}, &f, nil
}

// sameTermination reports whether two termination URIs are of the same trunk: the edge in acme.pstn.dublin.twilio.com does not count.
func sameTermination(a, b string) bool {
	name := func(host string) string {
		label, rest, _ := strings.Cut(strings.ToLower(host), ".pstn.")
		if !strings.HasSuffix(rest, "twilio.com") {
			return strings.ToLower(host)
		}
		return label
	}
	return b != "" && name(a) == name(b)
}

func (t *twilio) number(ctx context.Context, e164 string) (twilioNumber, *Finding, error) {
	for n, err := range t.list(ctx, url.Values{"PhoneNumber": {e164}, "PageSize": {"20"}}) {
		if err != nil {
			return twilioNumber{}, nil, err
		}
		if n.Number == e164 {
			return n, nil, nil
		}
	}
	f := notOwned(Twilio)
	return twilioNumber{}, &f, nil
}

// attached says what is wrong with where a number leads; nil when nothing is.
func (t *twilio) attached(n twilioNumber) *Finding {
	var f Finding
	switch {
	case !n.Capabilities.Voice:
		f = failed("number_no_voice", "the number takes no calls", "Choose a number with voice.")
	case n.Trunk == "":
		f = failed("number_not_on_trunk", "the number is on no trunk", "In the Twilio console open Elastic SIP Trunking, the trunk, Numbers, and add the number.")
	case t.trunk != "" && n.Trunk != t.trunk:
		f = failed("number_on_other_trunk", "the number is on another trunk", "In the Twilio console open Elastic SIP Trunking, the trunk whose trunkSid you gave, Numbers, and add the number.")
	default:
		return nil
	}
	return &f
}

func (t *twilio) Inbound(ctx context.Context, l Line) (Finding, error) {
	trunk, found, err := t.choose(ctx, l)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	}
	const doing = "list origination URLs"
	var answer struct {
		URLs *[]struct {
			URL     string `json:"sip_url"`
			Enabled bool   `json:"enabled"`
		} `json:"origination_urls"`
	}
	if err := t.trunking.get(ctx, doing, "/v1/Trunks/"+url.PathEscape(trunk.SID)+"/OriginationUrls", url.Values{"PageSize": {"50"}}, &answer); err != nil {
		return Finding{}, err
	}
	if answer.URLs == nil {
		return Finding{}, t.trunking.malformed(doing, "the answer has no origination_urls")
	}
	ours := false
	for _, u := range *answer.URLs {
		if !pointsAtUs(ctx, t.resolve, u.URL, l) {
			continue
		}
		if u.Enabled {
			return passed(fmt.Sprintf("trunk %s sends calls to us", quoted(trunk.Name))), nil
		}
		ours = true
	}
	const fix = "In the Twilio console open Elastic SIP Trunking, the trunk, Origination, and add sip: with our public address."
	switch {
	case ours:
		return failed("origination_disabled", fmt.Sprintf("trunk %s has our origination URI switched off", quoted(trunk.Name)), "Switch the origination URI on in the Twilio console."), nil
	case len(*answer.URLs) == 0:
		return failed("no_origination", fmt.Sprintf("trunk %s has no origination URI", quoted(trunk.Name)), fix), nil
	}
	return failed("origination_elsewhere", fmt.Sprintf("trunk %s sends calls elsewhere", quoted(trunk.Name)), fix), nil
}

func (t *twilio) Outbound(ctx context.Context, l Line) (Finding, error) {
	trunk, found, err := t.choose(ctx, l)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	case trunk.Domain == "":
		return failed("no_termination", fmt.Sprintf("trunk %s has no termination URI", quoted(trunk.Name)), "In the Twilio console open the trunk, Termination, and choose a termination URI."), nil
	case trunk.Auth == "":
		return failed("no_authentication", fmt.Sprintf("trunk %s has neither an IP access list nor a credential list, and refuses every call", quoted(trunk.Name)),
			"In the Twilio console open the trunk, Termination, Authentication, and add a credential list or our public address."), nil
	case l.Domain != "" && !sameTermination(l.Domain, trunk.Domain):
		return failed("other_termination", fmt.Sprintf("trunk %s is reached at %s, not at %s", quoted(trunk.Name), clean(trunk.Domain, 80), clean(l.Domain, 80)),
			"Set sip_config.domain to the trunk's termination URI."), nil
	}
	return passed(fmt.Sprintf("trunk %s takes calls at %s (%s)", quoted(trunk.Name), clean(trunk.Domain, 80), clean(trunk.Auth, 40))), nil
}
