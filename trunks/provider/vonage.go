package provider

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	vonageAPI      = "https://rest.nexmo.com"
	vonagePageSize = 100
)

// vonage is one account at Vonage.
type vonage struct {
	client
	resolve Resolve
}

func (d *Directory) openVonage(c Credentials) (Provider, error) {
	client, err := d.client(Vonage, d.options.Endpoints.Vonage, vonageAPI, c)
	if err != nil {
		return nil, err
	}
	key, secret := c["apiKey"].Reveal(), c["apiSecret"].Reveal()
	client.authorize = func(r *http.Request) { r.SetBasicAuth(key, secret) }
	if d.options.VonageQueryAuth {
		client.authorize = func(r *http.Request) {
			query := r.URL.Query()
			query.Set("api_key", key)
			query.Set("api_secret", secret)
			r.URL.RawQuery = query.Encode()
		}
	}
	return &vonage{client: client, resolve: d.options.Resolve}, nil
}

type vonageNumber struct {
	MSISDN   string   `json:"msisdn"` // without plus
	Features []string `json:"features"`
	Callback string   `json:"voiceCallbackType"`
	Target   string   `json:"voiceCallbackValue"`
}

func (v *vonage) Check(ctx context.Context) error {
	const doing = "read balance"
	var answer struct {
		Value *float64 `json:"value"`
	}
	if err := v.get(ctx, doing, "/account/get-balance", nil, &answer); err != nil {
		return err
	}
	if answer.Value == nil {
		return v.malformed(doing, "the answer has no value")
	}
	return nil
}

// Name is empty: an account at Vonage has none that the API tells.
func (v *vonage) Name(context.Context) (string, error) { return "", nil }

func (v *vonage) Numbers(ctx context.Context) iter.Seq2[Number, error] {
	return func(yield func(Number, error) bool) {
		for n, err := range v.list(ctx, url.Values{}) {
			if err != nil {
				yield(Number{}, err)
				return
			}
			route := ""
			if n.Callback != "" {
				route = clean(n.Callback, 20)
			}
			if !yield(Number{Number: e164(n.MSISDN), Voice: slices.Contains(n.Features, "VOICE"), Active: true, Route: route}, nil) {
				return
			}
		}
	}
}

// list yields the numbers that query selects, page by page. An account without numbers answers {}.
func (v *vonage) list(ctx context.Context, query url.Values) iter.Seq2[vonageNumber, error] {
	return func(yield func(vonageNumber, error) bool) {
		const doing = "list numbers"
		query.Set("size", strconv.Itoa(vonagePageSize))
		for index := 1; index <= mostPages; index++ {
			query.Set("index", strconv.Itoa(index))
			var answer struct {
				Count   int            `json:"count"`
				Numbers []vonageNumber `json:"numbers"`
			}
			if err := v.get(ctx, doing, "/account/numbers", query, &answer); err != nil {
				yield(vonageNumber{}, err)
				return
			}
			for _, n := range answer.Numbers {
				if e164(n.MSISDN) != "" && !yield(n, nil) {
					return
				}
			}
			if answer.Count <= vonagePageSize*index || len(answer.Numbers) == 0 {
				return
			}
		}
		yield(vonageNumber{}, v.malformed(doing, "the list does not end"))
	}
}

func (v *vonage) Inbound(ctx context.Context, l Line) (Finding, error) {
	if l.Number == "" {
		return unclear("no_number", "no number was named", "Add test_number to sip_config."), nil
	}
	number, found, err := v.number(ctx, l.Number)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	case !slices.Contains(number.Features, "VOICE"):
		return failed("number_no_voice", "the number takes no calls", "Choose a number with voice."), nil
	case number.Callback != "sip":
		return failed("number_not_on_sip", fmt.Sprintf("the number's calls go to %s, not to a SIP address", quoted(number.Callback)),
			"In the Vonage dashboard open Numbers, the number, Voice, and forward to SIP with our public address."), nil
	}
	for uri := range strings.SplitSeq(number.Target, ",") {
		if pointsAtUs(ctx, v.resolve, uri, l) {
			return passed("the number forwards to us"), nil
		}
	}
	return failed("target_elsewhere", "the number forwards to a SIP address that is not ours", "In the Vonage dashboard open Numbers, the number, Voice, and forward to SIP with our public address."), nil
}

func (v *vonage) number(ctx context.Context, e164Number string) (vonageNumber, *Finding, error) {
	query := url.Values{"pattern": {strings.TrimPrefix(e164Number, "+")}, "search_pattern": {"0"}}
	for n, err := range v.list(ctx, query) {
		if err != nil {
			return vonageNumber{}, nil, err
		}
		if e164(n.MSISDN) == e164Number {
			return n, nil, nil
		}
	}
	f := notOwned(Vonage)
	return vonageNumber{}, &f, nil
}

// Outbound is not the API's to tell: the digest of an INVITE is the account's key and secret.
func (v *vonage) Outbound(context.Context, Line) (Finding, error) {
	return Finding{Verdict: Skipped, Code: "sip_only", Message: "Vonage's API does not tell; the INVITE of the probe does"}, nil
}
