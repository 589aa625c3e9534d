package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	telnyxAPI      = "https://api.telnyx.com"
	telnyxPageSize = 250
)

// telnyx is one account at Telnyx, API v2.
type telnyx struct {
	client
	connection  string // empty: that of the number
	credentials Credentials
	resolve     Resolve
}

func (d *Directory) openTelnyx(c Credentials) (Provider, error) {
	client, err := d.client(Telnyx, d.options.Endpoints.Telnyx, telnyxAPI, c)
	if err != nil {
		return nil, err
	}
	key := c["apiKey"].Reveal()
	client.authorize = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
	return &telnyx{client: client, connection: c["connectionId"].Reveal(), credentials: c, resolve: d.options.Resolve}, nil
}

// client returns a client without authorization. usual is the provider's own endpoint.
func (d *Directory) client(kind Kind, endpoint, usual string, c Credentials) (client, error) {
	if endpoint == "" {
		endpoint = usual
	}
	base, err := baseURL(endpoint)
	if err != nil {
		return client{}, err
	}
	return client{provider: kind, base: base, http: d.http, timeout: d.options.Timeout, metrics: d.options.Metrics, secrets: c.secrets(kind)}, nil
}

type telnyxConnection struct {
	ID         string   `json:"id"`
	RecordType string   `json:"record_type"`
	Active     bool     `json:"active"`
	Name       string   `json:"connection_name"`
	Profile    string   `json:"outbound_voice_profile_id"`
	UserName   string   `json:"user_name"`
	Tags       []string `json:"tags"`
}

type telnyxNumber struct {
	ID             string `json:"id"`
	Number         string `json:"phone_number"`
	Status         string `json:"status"`
	ConnectionID   string `json:"connection_id"`
	ConnectionName string `json:"connection_name"`
}

func (t *telnyx) Check(ctx context.Context) error {
	if t.connection != "" {
		_, err := t.readConnection(ctx, t.connection)
		return err
	}
	for _, err := range t.list(ctx, url.Values{"page[size]": {"1"}}) {
		return err
	}
	return nil
}

func (t *telnyx) Name(ctx context.Context) (string, error) {
	if t.connection != "" {
		connection, err := t.readConnection(ctx, t.connection)
		return connection.Name, err
	}
	for number, err := range t.list(ctx, url.Values{"page[size]": {"1"}}) {
		return number.ConnectionName, err
	}
	return "", nil
}

func (t *telnyx) Numbers(ctx context.Context) iter.Seq2[Number, error] {
	return func(yield func(Number, error) bool) {
		for n, err := range t.list(ctx, url.Values{"page[size]": {strconv.Itoa(telnyxPageSize)}}) {
			if err != nil {
				yield(Number{}, err)
				return
			}
			if !yield(Number{Number: n.Number, Label: clean(n.ConnectionName, longestText), Voice: true, Active: n.Status == "active", Route: n.ConnectionID}, nil) {
				return
			}
		}
	}
}

// list yields the numbers that query selects, page by page.
func (t *telnyx) list(ctx context.Context, query url.Values) iter.Seq2[telnyxNumber, error] {
	return func(yield func(telnyxNumber, error) bool) {
		const doing = "list numbers"
		for page := 1; page <= mostPages; page++ {
			query.Set("page[number]", strconv.Itoa(page))
			var answer struct {
				Data *[]telnyxNumber `json:"data"`
				Meta struct {
					TotalPages int `json:"total_pages"`
				} `json:"meta"`
			}
			if err := t.get(ctx, doing, "/v2/phone_numbers", query, &answer); err != nil {
				yield(telnyxNumber{}, err)
				return
			}
			if answer.Data == nil {
				yield(telnyxNumber{}, t.malformed(doing, "the answer has no data"))
				return
			}
			for _, n := range *answer.Data {
				if n.Number = e164(n.Number); n.Number != "" && !yield(n, nil) {
					return
				}
			}
			if page >= answer.Meta.TotalPages || len(*answer.Data) == 0 {
				return
			}
		}
		yield(telnyxNumber{}, t.malformed(doing, "the list does not end"))
	}
}

func (t *telnyx) readConnection(ctx context.Context, id string) (telnyxConnection, error) {
	const doing = "read connection"
	var answer struct {
		Data telnyxConnection `json:"data"`
	}
	if err := t.get(ctx, doing, "/v2/connections/"+url.PathEscape(id), nil, &answer); err != nil {
		return telnyxConnection{}, err
	}
	if answer.Data.ID == "" {
		return telnyxConnection{}, t.malformed(doing, "the answer has no connection")
	}
	return answer.Data, nil
}

// line finds the number and its connection; the finding is set when they lead nowhere.
func (t *telnyx) line(ctx context.Context, l Line) (telnyxConnection, *Finding, error) {
	id := t.connection
	if l.Number != "" {
		number, found, err := t.number(ctx, l.Number)
		if err != nil || found != nil {
			return telnyxConnection{}, found, err
		}
		if f := t.attached(number); f != nil {
			return telnyxConnection{}, f, nil
		}
		id = number.ConnectionID
	}
	if id == "" {
		f := unclear("no_connection", "no connection and no number was named", "Add connectionId to the credentials, or test_number to sip_config.")
		return telnyxConnection{}, &f, nil
	}
	connection, err := t.readConnection(ctx, id)
	if err == nil && !connection.Active {
		f := failed("connection_inactive", fmt.Sprintf("connection %s is switched off", quoted(connection.Name)), "Switch the connection on in the Telnyx portal (SIP Connections).")
		return connection, &f, nil
	}
	return connection, nil, err
}

// number finds one number of the account.
func (t *telnyx) number(ctx context.Context, e164 string) (telnyxNumber, *Finding, error) {
	for n, err := range t.list(ctx, url.Values{"filter[phone_number]": {e164}, "page[size]": {"20"}}) {
		if err != nil {
			return telnyxNumber{}, nil, err
		}
		if n.Number == e164 {
			return n, nil, nil
		}
	}
	f := notOwned(Telnyx)
	return telnyxNumber{}, &f, nil
}

func notOwned(kind Kind) Finding {
	return failed("number_not_owned", "the account does not have this number", "Buy or port the number at "+kind.Label()+", or test with a number the account has.")
}

// attached says what is wrong with where a number leads; nil when nothing is.
func (t *telnyx) attached(n telnyxNumber) *Finding {
	var f Finding
	switch {
	case n.Status != "active":
		f = failed("number_not_active", "the number is "+clean(strings.ReplaceAll(n.Status, "-", " "), longestText)+" at Telnyx", "Wait until the order or the port is done, or choose another number.")
	case n.ConnectionID == "":
		f = failed("number_not_on_connection", "the number is on no connection", "In the Telnyx portal open Numbers, My Numbers, and choose the SIP connection for this number.")
	case t.connection != "" && n.ConnectionID != t.connection:
		f = failed("number_on_other_connection", "the number is on another connection ("+quoted(n.ConnectionName)+")", "In the Telnyx portal open Numbers, My Numbers, and choose the connection whose connectionId you gave.")
	default:
		return nil
	}
	return &f
}

func (t *telnyx) Inbound(ctx context.Context, l Line) (Finding, error) {
	connection, found, err := t.line(ctx, l)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	}
	switch connection.RecordType {
	case "credential_connection":
		return t.registered(ctx, connection, l)
	case "ip_connection":
		return t.target(ctx, connection, l, "/v2/ips", "ip_address", "IP")
	case "fqdn_connection":
		return t.target(ctx, connection, l, "/v2/fqdns", "fqdn", "FQDN")
	}
	return failed("connection_no_sip", fmt.Sprintf("connection %s is no SIP connection (%s)", quoted(connection.Name), clean(connection.RecordType, 40)),
		"Move the number to a SIP connection of type credentials, IP or FQDN."), nil
}

// registered asks what the registrar knows of a credential connection. The request is a POST that changes nothing.
func (t *telnyx) registered(ctx context.Context, c telnyxConnection, l Line) (Finding, error) {
	const doing = "check registration"
	var answer struct {
		Data struct {
			Status    string `json:"status"`
			UserName  string `json:"sip_username"`
			IPAddress string `json:"ip_address"`
		} `json:"data"`
	}
	err := t.change(ctx, request{doing: doing, method: http.MethodPost, path: "/v2/credential_connections/" + url.PathEscape(c.ID) + "/actions/check_registration_status"}, &answer)
	if err != nil {
		return Finding{}, err
	}
	status := answer.Data
	if status.Status == "" {
		return Finding{}, t.malformed(doing, "the answer has no status")
	}
	if status.Status != "Registered" {
		message := fmt.Sprintf("nobody is registered on connection %s (%s)", quoted(c.Name), clean(status.Status, 40))
		if l.Username != "" { // we do when the trunk is there: until then a dial-in proves it
			return unclear("not_registered", message, "Nothing, before the trunk is created: it registers then. After that, see what its registration says."), nil
		}
		return failed("not_registered", message, "Set register: true and the SIP user and password of this connection, so that calls find us."), nil
	}
	if l.Username != "" && status.UserName != "" && !strings.EqualFold(l.Username, status.UserName) {
		return failed("registered_as_other", fmt.Sprintf("connection %s is registered as %s, not as our user", quoted(c.Name), quoted(status.UserName)),
			"Use the SIP user name of the connection the number is on."), nil
	}
	address, err := netip.ParseAddr(status.IPAddress)
	if err != nil || len(l.Addresses) == 0 || slices.Contains(l.Addresses, address.Unmap()) {
		return passed(fmt.Sprintf("registered on connection %s", quoted(c.Name))), nil
	}
	message := fmt.Sprintf("connection %s is registered from %s, which is none of our addresses", quoted(c.Name), address)
	if publicOnes(l.Addresses) {
		return failed("registered_elsewhere", message, "End the other registration: only the latest one gets calls."), nil
	}
	return unclear("registered_elsewhere", message, "If that is our address as seen from outside, set sip.public_address."), nil
}

// target looks whether a connection by IP or FQDN leads to us.
func (t *telnyx) target(ctx context.Context, c telnyxConnection, l Line, path, field, word string) (Finding, error) {
	doing := "list " + word + "s of the connection"
	var answer struct {
		Data *[]map[string]json.RawMessage `json:"data"`
	}
	if err := t.get(ctx, doing, path, url.Values{"filter[connection_id]": {c.ID}, "page[size]": {"250"}}, &answer); err != nil {
		return Finding{}, err
	}
	if answer.Data == nil {
		return Finding{}, t.malformed(doing, "the answer has no data")
	}
	for _, row := range *answer.Data {
		var host string
		if json.Unmarshal(row[field], &host) == nil && pointsAtUs(ctx, t.resolve, host, l) {
			return passed(fmt.Sprintf("connection %s sends calls to us", quoted(c.Name))), nil
		}
	}
	if len(*answer.Data) == 0 {
		return failed("no_target", fmt.Sprintf("connection %s has no %s", quoted(c.Name), word), "Add our public address to the connection in the Telnyx portal."), nil
	}
	return failed("target_elsewhere", fmt.Sprintf("connection %s sends calls elsewhere", quoted(c.Name)), "Add our public address to the connection in the Telnyx portal, as the first one."), nil
}

func (t *telnyx) Outbound(ctx context.Context, l Line) (Finding, error) {
	connection, found, err := t.line(ctx, l)
	switch {
	case err != nil:
		return Finding{}, err
	case found != nil:
		return *found, nil
	case connection.Profile == "":
		return failed("no_outbound_profile", fmt.Sprintf("connection %s has no outbound voice profile", quoted(connection.Name)),
			"In the Telnyx portal open Voice, Outbound Voice Profiles, and assign the connection to one."), nil
	}
	const doing = "read outbound voice profile"
	var answer struct {
		Data struct {
			Name         string    `json:"name"`
			Enabled      *bool     `json:"enabled"`
			Destinations *[]string `json:"whitelisted_destinations"`
		} `json:"data"`
	}
	if err := t.get(ctx, doing, "/v2/outbound_voice_profiles/"+url.PathEscape(connection.Profile), nil, &answer); err != nil {
		return Finding{}, err
	}
	profile := answer.Data
	if profile.Enabled == nil {
		return Finding{}, t.malformed(doing, "the answer has no profile")
	}
	if !*profile.Enabled {
		return failed("outbound_profile_disabled", fmt.Sprintf("outbound voice profile %s is switched off", quoted(profile.Name)),
			"Switch the profile on in the Telnyx portal."), nil
	}
	if profile.Destinations == nil {
		return passed(fmt.Sprintf("outbound voice profile %s is on", quoted(profile.Name))), nil
	}
	countries := countriesOf(l.Destination)
	if len(countries) > 0 && !slices.ContainsFunc(countries, func(c string) bool { return slices.Contains(*profile.Destinations, c) }) {
		return failed("destination_not_allowed", fmt.Sprintf("outbound voice profile %s does not allow calls to %s", quoted(profile.Name), strings.Join(countries, " or ")),
			"Add the country to the profile's allowed destinations in the Telnyx portal."), nil
	}
	return passed(fmt.Sprintf("outbound voice profile %s is on", quoted(profile.Name))), nil
}

// quoted is a name of the customer's inside a message.
func quoted(name string) string { return strconv.Quote(clean(name, 80)) }
