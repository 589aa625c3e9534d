package call

import "testing"

// RTE-06: 5xx and timeout move on, 4xx and 6xx do not, unless a table says otherwise.
func TestFailover(t *testing.T) {
	for _, test := range []struct {
		name    string
		on      Failover
		codes   []uint16 // that move on
		stay    []uint16
		timeout bool
	}{
		{"the zero value", Failover{}, []uint16{500, 503, 504, 599}, []uint16{302, 404, 408, 486, 600, 603}, true},
		{"nothing at all", FailoverOn(false), nil, []uint16{404, 500, 503, 603}, false},
		{"timeout alone", FailoverOn(true), nil, []uint16{404, 500, 503, 603}, true},
		{"codes at both ends", FailoverOn(false, 400, 699), []uint16{400, 699}, []uint16{302, 401, 503, 698, 700}, false},
		{"codes that are none", FailoverOn(false, 0, 200, 399, 700), nil, []uint16{0, 200, 399, 700, 503}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, code := range test.codes {
				if !test.on.On(code) {
					t.Errorf("%d stays", code)
				}
			}
			for _, code := range test.stay {
				if test.on.On(code) {
					t.Errorf("%d moves on", code)
				}
			}
			if test.on.OnTimeout() != test.timeout {
				t.Errorf("timeout moves on: %t", !test.timeout)
			}
		})
	}
}
