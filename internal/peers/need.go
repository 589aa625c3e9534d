package peers

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test when one of the commands is not installed, naming it. Under continuous integration (CI is set) that is a
// failure: there everything has been installed, and a skip would hide that nothing is tested any more.
func Need(t testing.TB, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if _, err := exec.LookPath(command); err == nil {
			continue
		}
		absent(t, command)
	}
}

// absent skips, or under continuous integration fails, for want of what.
func absent(t testing.TB, what string) {
	t.Helper()
	if ci := os.Getenv("CI"); ci != "" && ci != "false" {
		t.Fatalf("%s is not installed, and CI=%s wants it", what, ci)
	}
	t.Skipf("%s is not installed", what)
}
