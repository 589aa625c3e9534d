package provider

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const signalWirePageSize = "1000"

// signalWire is one project of a space at SignalWire, REST API of the space.
type signalWire struct {
	client
	space   string // its name, as "acme"
	resolve Resolve
}

func (d *Directory) openSignalWire(c Credentials) (Provider, error) {
	space := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(c["spaceUrl"].Reveal()), "https://"), "/"), ".signalwire.com")
	// The name has been checked: it is one label, so credentials cannot be sent to a host of the customer's choice.
	client, err := d.client(SignalWire, d.options.Endpoints.SignalWire, "https://"+space+".signalwire.com", c)
	if err != nil {
		return nil, err
	}
	project, token := c["projectId"].Reveal(), c["apiToken"].Reveal()
	client.authorize = func(r *http.Request) { r.SetBasicAuth(project, token) }
	return &signalWire{client: client, space: space, resolve: d.options.Resolve}, nil
}

type signalWireNumber struct {
	Number       string   `json:"number"`
	Name         string   `json:"name"`
	Capabilities []string `json:"capabilities"`
	Handler      string   `json:"call_handler"`
	Endpoint     string   `json:"call_sip_endpoint_id"`
	Resource     string   `json:"calling_handler_resource_id"`
}

type signalWireEndpoint struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	SendAs   string `json:"send_as"`
}

func (s *signalWire) Check(ctx context.Context) error {
	for _, err := range s.numbers(ctx, url.Values{"page_size": {"1"}}) {
		return err
	}
	return nil
}

const (
	signalWireNumbers   = "/api/relay/rest/phone_numbers"
	signalWireEndpoints = "/api/relay/rest/endpoints/sip"
)

func (s *signalWire) Name(context.Context) (string, error) { return s.space, nil }

func (s *signalWire) Numbers(ctx context.Context) iter.Seq2[Number, error] {
	return func(yield func(Number, error) bool) {
		for n, err := range s.numbers(ctx, url.Values{"page_size": {signalWirePageSize}}) {
			if err != nil {
				yield(Number{}, err)
				return
			}
			route := n.Endpoint
			if route == "" {
				route = n.Resource
			}
			if !yield(Number{Number: n.Number, Label: clean(n.Name, longestText), Voice: slices.Contains(n.Capabilities, "voice"), Active: true, Route: route}, nil) {
				return
			}
		}
	}
}

func (s *signalWire) numbers(ctx context.Context, query url.Values) iter.Seq2[signalWireNumber, error] {
	return func(yield func(signalWireNumber, error) bool) {
		for n, err := range pages[signalWireNumber](ctx, s, "list numbers", signalWireNumbers, query) {
			if err == nil {
				if n.Number = e164(n.Number); n.Number == "" {
					continue
				}
			}
			if !yield(n, err) {
				return
			}
		}
	}
}

// pages yields the rows of a list, following links.next.
func pages[T any](ctx context.Context, s *signalWire, doing, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for range mostPages {
			var answer struct {
				Data  *[]T `json:"data"`
				Links struct {
					Next string `json:"next"`
				} `json:"links"`
			}
			if err := s.get(ctx, doing, path, query, &answer); err != nil {
				yield(none, err)
				return
			}
			if answer.Data == nil {
				yield(none, s.malformed(doing, "the answer has no data"))
				return
			}
			for _, row := range *answer.Data {
				if !yield(row, nil) {
					return
				}
			}
			if path, query = localLink(answer.Links.Next), nil; path == "" {
				return
			}
		}
		yield(none, s.malformed(doing, "the list does not end"))
	}
}

func (s *signalWire) Inbound(ctx context.Context, l Line) (Finding, error) {
	if l.Number == "" {
		return unclear("no_number", "no number was named", "Add test_number to sip_config."), nil
	}
	number, found, err := s.number(ctx, l.Number)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	case !slices.Contains(number.Capabilities, "voice"):
		return failed("number_no_voice", "the number takes no calls", "Choose a number with voice."), nil
	}
	const fix = "In the SignalWire dashboard open Phone Numbers, the number, and handle calls with the SIP endpoint we register as."
	switch {
	case number.Handler == "sip_gateway":
		return unclear("sip_gateway", "the number sends calls to a SIP gateway whose address the API does not tell", "The dial-in of the verification proves it."), nil
	case number.Handler != "relay_sip_endpoint" || number.Endpoint == "":
		return failed("number_not_on_sip", fmt.Sprintf("the number's calls are handled by %s, not by a SIP endpoint", quoted(number.Handler)), fix), nil
	}
	endpoint, err := s.endpoint(ctx, number.Endpoint)
	switch {
	case err != nil:
		return Finding{}, err
	case l.Username == "":
		return failed("not_registering", fmt.Sprintf("the number rings SIP endpoint %s, and we register as nobody", quoted(endpoint.Username)), "Add sipUsername and sipPassword of that endpoint and set register: true."), nil
	case !strings.EqualFold(endpoint.Username, l.Username):
		return failed("number_on_other_endpoint", fmt.Sprintf("the number rings SIP endpoint %s, not ours", quoted(endpoint.Username)), fix), nil
	}
	return passed(fmt.Sprintf("the number rings SIP endpoint %s", quoted(endpoint.Username))), nil
}

func (s *signalWire) number(ctx context.Context, e164 string) (signalWireNumber, *Finding, error) {
	for n, err := range s.numbers(ctx, url.Values{"filter_number": {e164}, "page_size": {"50"}}) {
		if err != nil {
			return signalWireNumber{}, nil, err
		}
		if n.Number == e164 {
			return n, nil, nil
		}
	}
	f := notOwned(SignalWire)
	return signalWireNumber{}, &f, nil
}

func (s *signalWire) endpoint(ctx context.Context, id string) (signalWireEndpoint, error) {
	const doing = "read SIP endpoint"
	var endpoint signalWireEndpoint
	if err := s.get(ctx, doing, signalWireEndpoints+"/"+url.PathEscape(id), nil, &endpoint); err != nil {
		return signalWireEndpoint{}, err
	}
	if endpoint.Username == "" {
		return signalWireEndpoint{}, s.malformed(doing, "the answer has no endpoint")
	}
	return endpoint, nil
}

// Outbound looks at the endpoint we call as: its Send As is the caller number, whatever our From says (providers.md §5).
func (s *signalWire) Outbound(ctx context.Context, l Line) (Finding, error) {
	if l.Username == "" {
		return failed("not_registering", "no SIP endpoint was named", "Add sipUsername and sipPassword of a SIP endpoint of the space."), nil
	}
	for endpoint, err := range pages[signalWireEndpoint](ctx, s, "list SIP endpoints", signalWireEndpoints, url.Values{"page_size": {"1000"}}) {
		if err != nil {
			return Finding{}, err
		}
		if strings.EqualFold(endpoint.Username, l.Username) {
			return s.sendAs(ctx, endpoint, l)
		}
	}
	return failed("no_endpoint", fmt.Sprintf("the space has no SIP endpoint %s", quoted(l.Username)), "Make it in the SignalWire dashboard (SIP, Endpoints), or use the user name of one that is there."), nil
}

func (s *signalWire) sendAs(ctx context.Context, endpoint signalWireEndpoint, l Line) (Finding, error) {
	number := e164(endpoint.SendAs)
	switch {
	case number == "":
		return unclear("send_as_random", fmt.Sprintf("SIP endpoint %s calls with a number of SignalWire's choice", quoted(endpoint.Username)), "Set Send As of the endpoint to a number of the project."), nil
	case l.Number != "" && number != l.Number:
		return failed("send_as_other", fmt.Sprintf("SIP endpoint %s calls with another number than the one asked about", quoted(endpoint.Username)), "Set Send As of the endpoint to that number."), nil
	}
	if _, found, err := s.number(ctx, number); err != nil || found != nil {
		if err != nil {
			return Finding{}, err
		}
		return unclear("send_as_not_owned", fmt.Sprintf("SIP endpoint %s calls with a number the project does not have", quoted(endpoint.Username)), "It must be verified as caller ID at SignalWire, or be a number of the project."), nil
	}
	return passed(fmt.Sprintf("SIP endpoint %s calls with a number of the project", quoted(endpoint.Username))), nil
}
