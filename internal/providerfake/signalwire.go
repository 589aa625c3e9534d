package providerfake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// SignalWire is a fake of one space. Its fields are set before it is used, or under Lock.
type SignalWire struct {
	*server
	sync.Mutex

	Project, Token string
	NoScope        bool // the token lacks the scope Numbers
	Numbers        []*SignalWireNumber
	Endpoints      []*SignalWireEndpoint
}

// SignalWireNumber is a telephone number of the project.
type SignalWireNumber struct {
	ID, Number, Name string
	Handler          string // relay_sip_endpoint, sip_gateway, laml_webhooks …
	Endpoint         string // id
	NoVoice          bool
}

// SignalWireEndpoint is a SIP endpoint.
type SignalWireEndpoint struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	SendAs   string `json:"send_as"`
}

// NewSignalWire returns a project with a token and nothing else.
func NewSignalWire(project, token string) *SignalWire {
	s := &SignalWire{server: newServer(signalWireWords), Project: project, Token: token}
	paging := []string{"page_number", "page_size", "page_token"}
	s.serve("GET /api/relay/rest/phone_numbers", append([]string{"filter_name", "filter_number"}, paging...), s.listNumbers)
	s.serve("GET /api/relay/rest/endpoints/sip", paging, s.listEndpoints)
	s.serve("GET /api/relay/rest/endpoints/sip/{id}", nil, s.readEndpoint)
	return s
}

// signalWireWords is the error body of a status (providers.md §5).
func signalWireWords(status int) any {
	switch status {
	case http.StatusUnauthorized:
		return object{"error": "Unauthorized"}
	case http.StatusNotFound:
		return object{"error": "Not Found"}
	case http.StatusTooManyRequests:
		return object{"code": 20429, "message": "Too Many Requests", "more_info": "https://developer.signalwire.com", "status": status}
	}
	return object{"errors": []object{{"detail": http.StatusText(status), "status": fmt.Sprint(status), "title": http.StatusText(status), "code": "error"}}}
}

// serve handles pattern for whoever shows project and token.
func (s *SignalWire) serve(pattern string, query []string, serve http.HandlerFunc) {
	s.handle(pattern, query, func(w http.ResponseWriter, r *http.Request) {
		s.Lock()
		defer s.Unlock()
		switch {
		case !basic(r, s.Project, s.Token):
			s.say(w, http.StatusUnauthorized)
		case s.NoScope && strings.HasSuffix(pattern, "phone_numbers"):
			s.say(w, http.StatusForbidden)
		default:
			serve(w, r)
		}
	})
}

// list answers one page with links.
func (s *SignalWire) list(w http.ResponseWriter, r *http.Request, rows []object) {
	query := r.URL.Query()
	number, ok1 := whole(query, "page_number", 0, 1<<20, 0)
	size, ok2 := whole(query, "page_size", 1, 1000, 50)
	if !ok1 || !ok2 || number > 0 && query.Get("page_token") == "" {
		s.refuse(w, r, http.StatusUnprocessableEntity, "page out of range, or without its token")
		return
	}
	data := page(rows, number, size)
	if data == nil {
		data = []object{}
	}
	links := object{"self": r.URL.RequestURI(), "first": r.URL.Path + "?page_number=0"}
	if (number+1)*size < len(rows) {
		next := url.Values{"page_number": {fmt.Sprint(number + 1)}, "page_size": {fmt.Sprint(size)}, "page_token": {fmt.Sprintf("PA%d", number+1)}}
		links["next"] = "https://example.signalwire.com" + r.URL.Path + "?" + next.Encode()
	}
	answer(w, http.StatusOK, object{"links": links, "data": data})
}

func (s *SignalWire) listNumbers(w http.ResponseWriter, r *http.Request) {
	wanted := r.URL.Query().Get("filter_number")
	var rows []object
	for _, n := range s.Numbers {
		if wanted != "" && !strings.Contains(n.Number, wanted) {
			continue
		}
		capabilities := []string{"sms", "mms"}
		if !n.NoVoice {
			capabilities = append(capabilities, "voice")
		}
		row := object{"id": n.ID, "number": n.Number, "name": n.Name, "capabilities": capabilities, "number_type": "longcode", "country_code": "US",
			"call_handler": n.Handler, "call_receive_mode": "voice", "call_sip_endpoint_id": nil}
		if n.Endpoint != "" {
			row["call_sip_endpoint_id"] = n.Endpoint
		}
		rows = append(rows, row)
	}
	s.list(w, r, rows)
}

func endpointObject(e *SignalWireEndpoint) object {
	return object{"id": e.ID, "username": e.Username, "caller_id": "", "send_as": e.SendAs, "ciphers": []string{"AES_CM_128_HMAC_SHA1_80"}, "codecs": []string{"PCMU"}, "encryption": "optional", "call_handler": "default"}
}

func (s *SignalWire) listEndpoints(w http.ResponseWriter, r *http.Request) {
	var rows []object
	for _, e := range s.Endpoints {
		rows = append(rows, endpointObject(e))
	}
	s.list(w, r, rows)
}

func (s *SignalWire) readEndpoint(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(s.Endpoints, func(e *SignalWireEndpoint) bool { return e.ID == r.PathValue("id") })
	if at < 0 {
		s.say(w, http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, endpointObject(s.Endpoints[at]))
}
