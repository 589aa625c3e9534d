package api

import (
	"strings"
	"testing"
	"time"
)

func TestRegistrationsAreListed(t *testing.T) {
	_, url := serve(t, Options{Registrations: func() []Registration {
		return []Registration{
			{Trunk: "acme", State: "registered", Code: 200, Server: "192.0.2.20:5060", Contact: "<sip:x@192.0.2.1:5060>",
				Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Expires: time.Now().Add(100 * time.Second), Next: time.Now().Add(time.Minute)},
			{Trunk: "bell", State: "auth_failed", Code: 401, Cause: "the registrar refuses the credentials", Failures: 2},
			{Trunk: "static", State: "disabled"},
		}
	}})
	for _, test := range []struct {
		name, path   string
		want, absent []string
	}{
		{"all of them", "/debug/registrations", []string{
			"TRUNK   STATE        CODE  SERVER           SINCE                 EXPIRES IN  NEXT IN  FAILURES  CONTACT                 CAUSE",
			"acme    registered   200   192.0.2.20:5060  2026-05-01T12:00:00Z  1m40s       1m0s     0         <sip:x@192.0.2.1:5060>  -",
			"bell    auth_failed  401   -", "the registrar refuses the credentials", "static  disabled     -"}, nil},
		{"those in one state", "/debug/registrations?state=auth_failed", []string{"bell"}, []string{"acme", "static"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := get(t, url+test.path)
			if code != 200 {
				t.Fatalf("status %d", code)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("%q is missing in\n%s", want, body)
				}
			}
			for _, absent := range test.absent {
				if strings.Contains(body, absent) {
					t.Errorf("%q is in\n%s", absent, body)
				}
			}
		})
	}
}
