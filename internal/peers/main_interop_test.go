//go:build interop

package peers

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/internal/lab"
)

func TestMain(m *testing.M) { Main(m, interopPage) }

var update = flag.Bool("update", false, "write docs/interop.md")

// labTests is the pattern that runs every test that reports to the lab, and nothing else.
const labTests = "^TestLab"

// interopPage writes docs/interop.md, or compares it with what was seen. A run of some of the tests has seen too little for either.
func interopPage() error {
	if run := flag.Lookup("test.run").Value.String(); run != "" && run != labTests || flag.Lookup("test.skip").Value.String() != "" {
		if *update {
			return fmt.Errorf("docs/interop.md is written by a run of %s, which is all that it is made from", labTests)
		}
		return nil
	}
	file := filepath.Join("..", "..", "docs", "interop.md")
	if *update {
		page := lab.Tests().Page(lab.Run{Date: time.Now().UTC().Format(time.DateOnly), System: System(), Versions: Versions()})
		return os.WriteFile(file, []byte(page), 0o644)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	differences := lab.Tests().Differences(string(page), func(peer string) bool { return !Installed(peer) })
	if len(differences) > 0 {
		return fmt.Errorf("docs/interop.md is not what the tests saw (make interop writes it):\n%s", strings.Join(differences, "\n"))
	}
	return nil
}
