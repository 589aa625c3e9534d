package providerfake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Twilio is a fake of api.twilio.com and trunking.twilio.com in one. Its fields are set before it is used, or under Lock.
type Twilio struct {
	*server
	sync.Mutex

	Account, Token string // AC…; the account's own token
	Key, Secret    string // SK…: a standard key, which may not read the account
	NumbersOnly    bool   // the key is restricted to numbers
	Numbers        []*TwilioNumber
	Trunks         []*TwilioTrunk
}

// TwilioNumber is a telephone number of the account.
type TwilioNumber struct {
	SID, Number, Name string
	Trunk             string // TK…; empty: none
	NoVoice           bool
}

// TwilioTrunk is an Elastic SIP trunk.
type TwilioTrunk struct {
	SID, Name, Domain string
	Auth              string // "IP_ACL", "CREDENTIAL_LIST", both with a comma, or empty
	Origination       []TwilioOrigination
}

// TwilioOrigination is where a trunk sends calls.
type TwilioOrigination struct {
	URL      string
	Disabled bool
}

// NewTwilio returns an account with a token and a standard key, and nothing else.
func NewTwilio(account, token, key, secret string) *Twilio {
	t := &Twilio{server: newServer(twilioWords), Account: account, Token: token, Key: key, Secret: secret}
	t.serve("GET /2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", []string{"PageSize", "Page", "PageToken", "PhoneNumber", "FriendlyName"}, t.listNumbers)
	t.serve("GET /v1/Trunks", []string{"PageSize", "Page", "PageToken"}, t.listTrunks)
	t.serve("GET /v1/Trunks/{trunk}", nil, t.readTrunk)
	t.serve("GET /v1/Trunks/{trunk}/OriginationUrls", []string{"PageSize", "Page", "PageToken"}, t.listOrigination)
	t.handle("GET /2010-04-01/Accounts/{account}", nil, func(w http.ResponseWriter, r *http.Request) {
		t.refuse(w, r, http.StatusUnauthorized, "a standard key may not read the account")
	})
	return t
}

// twilioWords is the error body of a status (providers.md §4.1).
func twilioWords(status int) any {
	code, message := 21245, "Validation error"
	switch status {
	case http.StatusUnauthorized:
		code, message = 20003, "Authenticate"
	case http.StatusForbidden:
		code, message = 70051, "Authorization Failed"
	case http.StatusNotFound:
		code, message = 20404, "The requested resource was not found"
	case http.StatusTooManyRequests:
		code, message = 20429, "Too Many Requests"
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code, message = 20500, "An internal server error has occurred"
	}
	return object{"code": code, "message": message, "more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code), "status": status}
}

// serve handles pattern for whoever shows the key or the token.
func (t *Twilio) serve(pattern string, query []string, serve http.HandlerFunc) {
	t.handle(pattern, query, func(w http.ResponseWriter, r *http.Request) {
		t.Lock()
		defer t.Unlock()
		account := r.PathValue("account")
		switch {
		case !basic(r, t.Key, t.Secret) && !basic(r, t.Account, t.Token):
			t.say(w, http.StatusUnauthorized)
		case account != "" && account != t.Account:
			t.say(w, http.StatusNotFound)
		case t.NumbersOnly && account == "":
			t.say(w, http.StatusForbidden)
		default:
			serve(w, r)
		}
	})
}

// sheet is one page of a list and the query of the next one; empty when there is none.
func (t *Twilio) sheet(w http.ResponseWriter, r *http.Request, rows []object) (_ []object, number, size int, next string, ok bool) {
	query := r.URL.Query()
	number, ok1 := whole(query, "Page", 0, 1<<20, 0)
	size, ok2 := whole(query, "PageSize", 1, 1000, 50)
	if !ok1 || !ok2 || number > 0 && query.Get("PageToken") == "" {
		t.refuse(w, r, http.StatusBadRequest, "page out of range, or without its token")
		return nil, 0, 0, "", false
	}
	data := page(rows, number, size)
	if data == nil {
		data = []object{}
	}
	if (number+1)*size < len(rows) {
		following := url.Values{"PageSize": {fmt.Sprint(size)}, "Page": {fmt.Sprint(number + 1)}, "PageToken": {fmt.Sprintf("PT%d", number+1)}}
		for _, name := range []string{"PhoneNumber"} {
			if value := query.Get(name); value != "" {
				following.Set(name, value)
			}
		}
		next = following.Encode()
	}
	return data, number, size, next, true
}

func (t *Twilio) listNumbers(w http.ResponseWriter, r *http.Request) {
	wanted := r.URL.Query().Get("PhoneNumber")
	var rows []object
	for _, n := range t.Numbers {
		if wanted != "" && n.Number != wanted {
			continue
		}
		row := object{"sid": n.SID, "account_sid": t.Account, "phone_number": n.Number, "friendly_name": n.Name, "capabilities": object{"voice": !n.NoVoice, "sms": true, "mms": false, "fax": false},
			"trunk_sid": nil, "voice_url": "", "status": "in-use", "origin": "twilio", "date_created": "Fri, 02 Jan 2026 03:04:05 +0000"}
		if n.Trunk != "" {
			row["trunk_sid"] = n.Trunk
		}
		rows = append(rows, row)
	}
	data, number, size, next, ok := t.sheet(w, r, rows)
	if !ok {
		return
	}
	body := object{"incoming_phone_numbers": data, "page": number, "page_size": size, "start": number * size, "end": number*size + len(data) - 1,
		"uri": r.URL.RequestURI(), "first_page_uri": r.URL.Path + "?Page=0", "next_page_uri": nil, "previous_page_uri": nil}
	if next != "" {
		body["next_page_uri"] = r.URL.Path + "?" + next // relative to the API's host
	}
	answer(w, http.StatusOK, body)
}

func (t *Twilio) trunkObject(k *TwilioTrunk) object {
	set := []string{}
	if k.Auth != "" {
		set = strings.Split(k.Auth, ",")
	}
	row := object{"sid": k.SID, "account_sid": t.Account, "friendly_name": k.Name, "domain_name": nil, "secure": false, "auth_type": k.Auth, "auth_type_set": set,
		"transfer_mode": "disable-all", "date_created": "2026-01-02T03:04:05Z"}
	if k.Domain != "" {
		row["domain_name"] = k.Domain
	}
	return row
}

func (t *Twilio) listTrunks(w http.ResponseWriter, r *http.Request) {
	var rows []object
	for _, k := range t.Trunks {
		rows = append(rows, t.trunkObject(k))
	}
	t.listV1(w, r, "trunks", rows)
}

// listV1 answers a list of the newer kind, whose links are absolute.
func (t *Twilio) listV1(w http.ResponseWriter, r *http.Request, key string, rows []object) {
	data, number, size, next, ok := t.sheet(w, r, rows)
	if !ok {
		return
	}
	meta := object{"key": key, "page": number, "page_size": size, "url": "https://trunking.twilio.com" + r.URL.RequestURI(), "first_page_url": "https://trunking.twilio.com" + r.URL.Path,
		"next_page_url": nil, "previous_page_url": nil}
	if next != "" {
		meta["next_page_url"] = "https://trunking.twilio.com" + r.URL.Path + "?" + next
	}
	answer(w, http.StatusOK, object{key: data, "meta": meta})
}

func (t *Twilio) trunk(sid string) *TwilioTrunk {
	at := slices.IndexFunc(t.Trunks, func(k *TwilioTrunk) bool { return k.SID == sid })
	if at < 0 {
		return nil
	}
	return t.Trunks[at]
}

func (t *Twilio) readTrunk(w http.ResponseWriter, r *http.Request) {
	k := t.trunk(r.PathValue("trunk"))
	if k == nil {
		t.say(w, http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, t.trunkObject(k))
}

func (t *Twilio) listOrigination(w http.ResponseWriter, r *http.Request) {
	k := t.trunk(r.PathValue("trunk"))
	if k == nil {
		t.say(w, http.StatusNotFound)
		return
	}
	var rows []object
	for i, o := range k.Origination {
		rows = append(rows, object{"sid": fmt.Sprintf("OU%032d", i), "sip_url": o.URL, "enabled": !o.Disabled, "priority": 10, "weight": 10, "friendly_name": "edge"})
	}
	t.listV1(w, r, "origination_urls", rows)
}
