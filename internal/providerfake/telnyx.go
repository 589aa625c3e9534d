package providerfake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Telnyx is a fake of api.telnyx.com. Its fields are set before it is used, or under Lock.
type Telnyx struct {
	*server
	sync.Mutex

	Key         string
	NumbersOnly bool // the key may read numbers and nothing else
	Numbers     []*TelnyxNumber
	Connections []*TelnyxConnection
	Profiles    []*TelnyxProfile
	Targets     []TelnyxTarget // of connections by IP and FQDN

	// Registered tells from which address a SIP user is registered; empty: it is not. nil: nobody is.
	Registered func(userName string) (address string)

	made int
}

// TelnyxNumber is a telephone number of the account.
type TelnyxNumber struct {
	ID           string `json:"id"`
	Number       string `json:"phone_number"`
	Status       string `json:"status"`
	ConnectionID string `json:"connection_id"`
}

// TelnyxConnection is a connection of any type.
type TelnyxConnection struct {
	ID         string
	RecordType string // credential_connection, ip_connection, fqdn_connection
	Name       string
	Inactive   bool
	UserName   string
	Password   string
	Profile    string // of outbound voice
	Tags       []string
}

// TelnyxProfile is an outbound voice profile.
type TelnyxProfile struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Enabled      bool     `json:"enabled"`
	Destinations []string `json:"whitelisted_destinations"`
	Tags         []string `json:"tags"`
}

// TelnyxTarget is an entry of /ips or /fqdns.
type TelnyxTarget struct{ ConnectionID, IP, FQDN string }

// NewTelnyx returns an account with a key and nothing else.
func NewTelnyx(key string) *Telnyx {
	t := &Telnyx{server: newServer(telnyxWords), Key: key}
	t.serve("GET /v2/phone_numbers", []string{"page[number]", "page[size]", "filter[phone_number]", "filter[status]", "filter[connection_id]"}, t.listNumbers)
	t.serve("PATCH /v2/phone_numbers/{id}", nil, t.changeNumber)
	t.serve("GET /v2/connections/{id}", nil, t.readConnection)
	t.serve("GET /v2/credential_connections", []string{"page[number]", "page[size]", "filter[connection_name][contains]"}, t.listCredentialConnections)
	t.serve("GET /v2/credential_connections/{id}", nil, t.readCredentialConnection)
	t.serve("POST /v2/credential_connections", nil, t.makeConnection)
	t.serve("PATCH /v2/credential_connections/{id}", nil, t.changeConnection)
	t.serve("POST /v2/credential_connections/{id}/actions/check_registration_status", nil, t.checkRegistration)
	t.serve("GET /v2/ips", []string{"page[size]", "filter[connection_id]"}, t.listTargets("ip_address"))
	t.serve("GET /v2/fqdns", []string{"page[size]", "filter[connection_id]"}, t.listTargets("fqdn"))
	t.serve("GET /v2/outbound_voice_profiles", []string{"page[number]", "page[size]", "filter[name][contains]"}, t.listProfiles)
	t.serve("GET /v2/outbound_voice_profiles/{id}", nil, t.readProfile)
	t.serve("POST /v2/outbound_voice_profiles", nil, t.makeProfile)
	return t
}

type object = map[string]any

// telnyxWords is the error body of a status (providers.md §3.1).
func telnyxWords(status int) any {
	code, title := "10015", "Bad Request"
	switch status {
	case http.StatusUnauthorized:
		code, title = "10009", "Authentication failed"
	case http.StatusForbidden:
		code, title = "10010", "Authorization failed"
	case http.StatusNotFound:
		code, title = "10005", "Resource not found"
	case http.StatusUnprocessableEntity:
		code, title = "10027", "Unprocessable entity"
	case http.StatusTooManyRequests:
		code, title = "10011", "Too many requests"
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code, title = "10037", "Unavailable"
	}
	return object{"errors": []object{{"code": code, "title": title, "detail": title + ".", "meta": object{"url": "https://developers.telnyx.com/docs/overview/errors/" + code}}}}
}

// serve handles pattern for whoever shows the key.
func (t *Telnyx) serve(pattern string, query []string, serve http.HandlerFunc) {
	t.handle(pattern, query, func(w http.ResponseWriter, r *http.Request) {
		t.Lock()
		defer t.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer "+t.Key:
			t.say(w, http.StatusUnauthorized)
		case t.NumbersOnly && pattern != "GET /v2/phone_numbers":
			t.say(w, http.StatusForbidden)
		default:
			serve(w, r)
		}
	})
}

func (t *Telnyx) listNumbers(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var rows []object
	for _, n := range t.Numbers {
		if wanted := query.Get("filter[phone_number]"); wanted != "" && !strings.Contains(n.Number, strings.TrimPrefix(wanted, "+")) {
			continue
		}
		if wanted := query.Get("filter[status]"); wanted != "" && n.Status != wanted {
			continue
		}
		if wanted := query.Get("filter[connection_id]"); wanted != "" && n.ConnectionID != wanted {
			continue
		}
		rows = append(rows, t.numberObject(n))
	}
	t.list(w, r, rows, 20)
}

func (t *Telnyx) numberObject(n *TelnyxNumber) object {
	row := object{"id": n.ID, "record_type": "phone_number", "phone_number": n.Number, "status": n.Status, "connection_id": nil, "connection_name": nil,
		"country_iso_alpha2": "US", "tags": []string{}, "phone_number_type": "local", "created_at": "2026-01-02T03:04:05.000Z"}
	if c := t.connection(n.ConnectionID); c != nil {
		row["connection_id"], row["connection_name"] = c.ID, c.Name
	}
	return row
}

// list answers one page of rows with the meta of Telnyx.
func (t *Telnyx) list(w http.ResponseWriter, r *http.Request, rows []object, usual int) {
	query := r.URL.Query()
	number, ok1 := whole(query, "page[number]", 1, 1<<20, 1)
	size, ok2 := whole(query, "page[size]", 1, 250, usual)
	if !ok1 || !ok2 {
		t.refuse(w, r, http.StatusBadRequest, "page out of range")
		return
	}
	data := page(rows, number-1, size)
	if data == nil {
		data = []object{}
	}
	answer(w, http.StatusOK, object{"data": data, "meta": object{"total_pages": (len(rows) + size - 1) / size, "total_results": len(rows), "page_number": number, "page_size": size}})
}

func (t *Telnyx) changeNumber(w http.ResponseWriter, r *http.Request) {
	var change struct {
		ConnectionID string `json:"connection_id"`
	}
	at := slices.IndexFunc(t.Numbers, func(n *TelnyxNumber) bool { return n.ID == r.PathValue("id") })
	switch {
	case at < 0:
		t.say(w, http.StatusNotFound)
	case !t.decode(w, r, &change):
	case t.connection(change.ConnectionID) == nil:
		t.say(w, http.StatusUnprocessableEntity)
	default:
		t.Numbers[at].ConnectionID = change.ConnectionID
		answer(w, http.StatusOK, object{"data": t.numberObject(t.Numbers[at])})
	}
}

func (t *Telnyx) connection(id string) *TelnyxConnection {
	at := slices.IndexFunc(t.Connections, func(c *TelnyxConnection) bool { return c.ID == id })
	if at < 0 {
		return nil
	}
	return t.Connections[at]
}

// readConnection answers the summary that does not depend on the type.
func (t *Telnyx) readConnection(w http.ResponseWriter, r *http.Request) {
	c := t.connection(r.PathValue("id"))
	if c == nil {
		t.say(w, http.StatusNotFound)
		return
	}
	row := object{"id": c.ID, "record_type": c.RecordType, "active": !c.Inactive, "connection_name": c.Name, "outbound_voice_profile_id": nil, "tags": c.Tags,
		"anchorsite_override": "Latency", "created_at": "2026-01-02T03:04:05.000Z"}
	if c.Profile != "" {
		row["outbound_voice_profile_id"] = c.Profile
	}
	answer(w, http.StatusOK, object{"data": row})
}

// credentialObject is a credential connection as its own endpoint shows it, password and all.
func credentialObject(c *TelnyxConnection) object {
	outbound := object{"localization": "US"}
	if c.Profile != "" {
		outbound["outbound_voice_profile_id"] = c.Profile
	}
	return object{"id": c.ID, "record_type": c.RecordType, "active": !c.Inactive, "connection_name": c.Name, "user_name": c.UserName, "password": c.Password,
		"sip_uri_calling_preference": "disabled", "tags": c.Tags, "outbound": outbound, "inbound": object{"codecs": []string{"G722", "G711U", "G711A"}}}
}

func (t *Telnyx) listCredentialConnections(w http.ResponseWriter, r *http.Request) {
	wanted := r.URL.Query().Get("filter[connection_name][contains]")
	if wanted != "" && len(wanted) < 3 {
		t.refuse(w, r, http.StatusBadRequest, "filter[connection_name][contains] is shorter than 3")
		return
	}
	var rows []object
	for _, c := range t.Connections {
		if c.RecordType == "credential_connection" && strings.Contains(c.Name, wanted) {
			rows = append(rows, credentialObject(c))
		}
	}
	t.list(w, r, rows, 250)
}

func (t *Telnyx) readCredentialConnection(w http.ResponseWriter, r *http.Request) {
	c := t.connection(r.PathValue("id"))
	if c == nil || c.RecordType != "credential_connection" {
		t.say(w, http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, object{"data": credentialObject(c)})
}

// telnyxSettings is what a client may say about a credential connection.
type telnyxSettings struct {
	Active   *bool    `json:"active"`
	Name     *string  `json:"connection_name"`
	UserName *string  `json:"user_name"`
	Password *string  `json:"password"`
	Tags     []string `json:"tags"`
	Inbound  *struct {
		ANI    string   `json:"ani_number_format"`
		DNIS   string   `json:"dnis_number_format"`
		Codecs []string `json:"codecs"`
	} `json:"inbound"`
	Outbound *struct {
		Profile string `json:"outbound_voice_profile_id"`
	} `json:"outbound"`
}

// wrong names the first rule of providers.md §3.3 that s breaks.
func (t *Telnyx) wrong(s telnyxSettings) string {
	switch {
	case s.UserName != nil && (len(*s.UserName) < 4 || len(*s.UserName) > 32 || strings.Trim(*s.UserName, alphanumeric) != "" || strings.Trim((*s.UserName)[:4], "0123456789") == ""):
		return "user_name"
	case s.Password != nil && (len(*s.Password) < 8 || len(*s.Password) > 128):
		return "password"
	case s.Inbound != nil && s.Inbound.ANI != "" && !slices.Contains([]string{"+E.164", "E.164", "+E.164-national", "E.164-national"}, s.Inbound.ANI):
		return "inbound.ani_number_format"
	case s.Inbound != nil && s.Inbound.DNIS != "" && !slices.Contains([]string{"+e164", "e164", "national", "sip_username"}, s.Inbound.DNIS):
		return "inbound.dnis_number_format"
	case s.Outbound != nil && !slices.ContainsFunc(t.Profiles, func(p *TelnyxProfile) bool { return p.ID == s.Outbound.Profile }):
		return "outbound.outbound_voice_profile_id"
	}
	return ""
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (t *Telnyx) makeConnection(w http.ResponseWriter, r *http.Request) {
	var s telnyxSettings
	if !t.decode(w, r, &s) {
		return
	}
	if s.UserName == nil || s.Password == nil || s.Name == nil || *s.Name == "" || t.wrong(s) != "" {
		t.refuse(w, r, http.StatusUnprocessableEntity, "missing or wrong: "+t.wrong(s))
		return
	}
	t.made++
	c := &TelnyxConnection{ID: fmt.Sprintf("1293384261075731%03d", t.made), RecordType: "credential_connection"}
	t.Connections = append(t.Connections, c)
	apply(c, s)
	answer(w, http.StatusCreated, object{"data": credentialObject(c)})
}

func (t *Telnyx) changeConnection(w http.ResponseWriter, r *http.Request) {
	var s telnyxSettings
	c := t.connection(r.PathValue("id"))
	switch {
	case c == nil || c.RecordType != "credential_connection":
		t.say(w, http.StatusNotFound)
	case !t.decode(w, r, &s):
	case t.wrong(s) != "":
		t.refuse(w, r, http.StatusUnprocessableEntity, "wrong: "+t.wrong(s))
	default:
		apply(c, s)
		answer(w, http.StatusOK, object{"data": credentialObject(c)})
	}
}

func apply(c *TelnyxConnection, s telnyxSettings) {
	for to, from := range map[*string]*string{&c.Name: s.Name, &c.UserName: s.UserName, &c.Password: s.Password} {
		if from != nil {
			*to = *from
		}
	}
	if s.Active != nil {
		c.Inactive = !*s.Active
	}
	if s.Tags != nil {
		c.Tags = s.Tags
	}
	if s.Outbound != nil {
		c.Profile = s.Outbound.Profile
	}
}

func (t *Telnyx) checkRegistration(w http.ResponseWriter, r *http.Request) {
	c := t.connection(r.PathValue("id"))
	if c == nil || c.RecordType != "credential_connection" {
		t.say(w, http.StatusNotFound)
		return
	}
	data := object{"record_type": "registration_status", "status": "Not Registered", "sip_username": c.UserName}
	if t.Registered != nil {
		if address := t.Registered(c.UserName); address != "" {
			data["status"], data["ip_address"], data["port"], data["transport"] = "Registered", address, 5060, "UDP"
		}
	}
	answer(w, http.StatusOK, object{"data": data})
}

func (t *Telnyx) listTargets(field string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rows []object
		for _, target := range t.Targets {
			value := target.IP
			if field == "fqdn" {
				value = target.FQDN
			}
			if value != "" && target.ConnectionID == r.URL.Query().Get("filter[connection_id]") {
				rows = append(rows, object{"id": "1", "connection_id": target.ConnectionID, field: value, "port": 5060})
			}
		}
		t.list(w, r, rows, 250)
	}
}

func (t *Telnyx) listProfiles(w http.ResponseWriter, r *http.Request) {
	var rows []object
	for _, p := range t.Profiles {
		if strings.Contains(p.Name, r.URL.Query().Get("filter[name][contains]")) {
			rows = append(rows, profileObject(p))
		}
	}
	t.list(w, r, rows, 20)
}

func profileObject(p *TelnyxProfile) object {
	return object{"id": p.ID, "record_type": "outbound_voice_profile", "name": p.Name, "enabled": p.Enabled, "traffic_type": "conversational", "service_plan": "global",
		"whitelisted_destinations": p.Destinations, "tags": p.Tags, "connections_count": 0}
}

func (t *Telnyx) readProfile(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(t.Profiles, func(p *TelnyxProfile) bool { return p.ID == r.PathValue("id") })
	if at < 0 {
		t.say(w, http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, object{"data": profileObject(t.Profiles[at])})
}

// makeProfile answers 200: so does Telnyx, for a profile.
func (t *Telnyx) makeProfile(w http.ResponseWriter, r *http.Request) {
	var s struct {
		Name         string   `json:"name"`
		Destinations []string `json:"whitelisted_destinations"`
		Tags         []string `json:"tags"`
	}
	if !t.decode(w, r, &s) {
		return
	}
	if len(s.Name) < 3 {
		t.refuse(w, r, http.StatusUnprocessableEntity, "name is shorter than 3")
		return
	}
	if s.Destinations == nil {
		s.Destinations = []string{"US", "CA"}
	}
	t.made++
	p := &TelnyxProfile{ID: fmt.Sprintf("2293384261075731%03d", t.made), Name: s.Name, Enabled: true, Destinations: s.Destinations, Tags: s.Tags}
	t.Profiles = append(t.Profiles, p)
	answer(w, http.StatusOK, object{"data": profileObject(p)})
}
