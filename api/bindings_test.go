package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBindingsAreListed(t *testing.T) {
	_, url := serve(t, Options{Bindings: func() []Binding {
		return []Binding{
			{Agent: "desk", Contact: "sip:desk@10.0.0.5", Source: "198.51.100.7:40000", Transport: "udp", NAT: true, Q: 1, Device: "Yealink T46", Expires: time.Now().Add(100 * time.Second)},
			{Agent: "hall"},
		}
	}})
	for _, test := range []struct {
		path         string
		want, absent []string
	}{
		{"/debug/agents", []string{"AGENT  CONTACT            SOURCE              TRANSPORT  NAT  Q  EXPIRES IN  DEVICE\n",
			"desk   sip:desk@10.0.0.5  198.51.100.7:40000  udp        yes  1  1m40s       Yealink T46\n", "hall   -                  -"}, nil},
		{"/debug/agents?agent=hall", []string{"hall"}, []string{"desk"}},
	} {
		code, body := get(t, url+test.path)
		if code != 200 {
			t.Fatalf("%s: status %d", test.path, code)
		}
		for _, want := range test.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is missing in\n%s", test.path, want, body)
			}
		}
		for _, absent := range test.absent {
			if strings.Contains(body, absent) {
				t.Errorf("%s: %q is in\n%s", test.path, absent, body)
			}
		}
	}
	request, err := http.NewRequest("GET", url+"/debug/agents?agent=desk", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	var all []Binding
	if err != nil || json.Unmarshal(text, &all) != nil || len(all) != 1 || all[0].Device != "Yealink T46" || !all[0].NAT {
		t.Errorf("%s %v", text, err)
	}
}
