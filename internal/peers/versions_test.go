package peers

import "testing"

// TestVersions: each peer that is installed tells its version.
func TestVersions(t *testing.T) {
	for command, version := range Versions() {
		if version == "unknown" {
			t.Errorf("%s does not tell its version", command)
		}
		t.Log(command, version)
	}
	if System() == "" {
		t.Error("the system has no name")
	}
}
