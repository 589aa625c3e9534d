package providerfake

import (
	"net/http"
	"strings"
	"sync"
)

// Vonage is a fake of rest.nexmo.com. Its fields are set before it is used, or under Lock.
type Vonage struct {
	*server
	sync.Mutex

	Key, Secret string
	QueryAuth   bool // key and secret come in the query, not by HTTP Basic
	Numbers     []*VonageNumber
}

// VonageNumber is a telephone number of the account.
type VonageNumber struct {
	MSISDN   string   `json:"msisdn"` // without plus
	Country  string   `json:"country"`
	Type     string   `json:"type"`
	Features []string `json:"features"`
	Callback string   `json:"voiceCallbackType,omitempty"`
	Target   string   `json:"voiceCallbackValue,omitempty"`
}

// NewVonage returns an account with key and secret and nothing else.
func NewVonage(key, secret string) *Vonage {
	v := &Vonage{server: newServer(vonageWords), Key: key, Secret: secret}
	v.serve("GET /account/get-balance", nil, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, object{"value": 12.5, "autoReload": false})
	})
	v.serve("GET /account/numbers", []string{"country", "pattern", "search_pattern", "application_id", "has_application", "size", "index"}, v.listNumbers)
	return v
}

// vonageWords is the error body of a status (providers.md §6).
func vonageWords(status int) any {
	switch status {
	case http.StatusUnauthorized:
		return object{"error-code": "401", "error-code-label": "authentication failed"}
	case http.StatusTooManyRequests:
		return object{"type": "https://developer.vonage.com/api-errors#throttled", "title": "Rate Limit Hit", "detail": "Please wait, then retry your request"}
	}
	return object{"error-code": "420", "error-code-label": "method failed"}
}

// serve handles pattern for whoever shows key and secret in the way the account wants.
func (v *Vonage) serve(pattern string, query []string, serve http.HandlerFunc) {
	v.handle(pattern, append([]string{"api_key", "api_secret"}, query...), func(w http.ResponseWriter, r *http.Request) {
		v.Lock()
		defer v.Unlock()
		asked := r.URL.Query()
		inQuery := asked.Get("api_key") == v.Key && asked.Get("api_secret") == v.Secret
		switch {
		case !v.QueryAuth && asked.Has("api_secret"):
			v.refuse(w, r, http.StatusUnauthorized, "a secret in the query")
		case v.QueryAuth && !inQuery, !v.QueryAuth && !basic(r, v.Key, v.Secret):
			v.say(w, http.StatusUnauthorized)
		default:
			serve(w, r)
		}
	})
}

func (v *Vonage) listNumbers(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	size, ok1 := whole(query, "size", 1, 100, 10)
	index, ok2 := whole(query, "index", 1, 1<<20, 1)
	search, ok3 := whole(query, "search_pattern", 0, 2, 0)
	if !ok1 || !ok2 || !ok3 {
		v.refuse(w, r, http.StatusBadRequest, "size, index or search_pattern out of range")
		return
	}
	fits := []func(string, string) bool{strings.HasPrefix, strings.Contains, strings.HasSuffix}[search]
	var rows []*VonageNumber
	for _, n := range v.Numbers {
		if fits(n.MSISDN, query.Get("pattern")) {
			rows = append(rows, n)
		}
	}
	found := page(rows, index-1, size)
	if len(found) == 0 {
		answer(w, http.StatusOK, object{}) // an account without numbers says nothing at all
		return
	}
	answer(w, http.StatusOK, object{"count": len(rows), "numbers": found})
}
