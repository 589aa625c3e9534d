//go:build interop

package peers

import (
	"testing"

	"trunkline/internal/lab"
)

// TestLabSipsak: sipsak's OPTIONS are answered, over each transport.
func TestLabSipsak(t *testing.T) {
	t.Parallel()
	s := newStage(t, stageOptions{})
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			out, content := Sipsak{Local: FreePort(t, AppHost), Remote: s.edgeAddress(transport), Transport: transport, Authority: s.authority}.Run(t)
			if !content {
				t.Fatal(out)
			}
			lab.Passed(t, lab.Cell{Peer: "sipsak", As: lab.Agent, Transport: transport, What: lab.Ping})
		})
	}
}
