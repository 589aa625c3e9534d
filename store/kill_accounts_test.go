package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// tenantVariable turns this test into its own victim: it holds the directory to work in.
const tenantVariable = "TRUNKLINE_TEST_TENANT"

// batch is how many numbers are imported together.
const batch = 5

// workUntilKilled creates, imports, rotates and verifies without end, and says what it was told is done.
func workUntilKilled(dir string) {
	db, err := Open(dir)
	must(err)
	at := &providers{}
	service, err := account.New(account.Options{Repository: db, Providers: at, Prober: newSIPProber(), Engine: &engine{}})
	must(err)
	ctx := context.Background()
	_, raw, err := service.Bootstrap(ctx, account.Bootstrap{Organization: "acme", User: "owner"})
	must(err)
	who, err := service.Authenticate(ctx, raw, "")
	must(err)
	fmt.Println("ready")
	for {
		name := fmt.Sprintf("%016x", rand.Uint64())
		credentials := telnyxCredentials()
		credentials["sipPassword"] = account.Secret("generation-0 " + name)
		evidence := prove(ctx, service, who, credentials)
		conn, err := service.CreateConnection(ctx, who, account.NewConnection{Name: name, Provider: provider.Telnyx, Credentials: credentials, SIPConfig: telnyxSIP(), EvidenceID: evidence})
		must(err)
		fmt.Println("created", conn.ID, evidence, name)
		for generation := 1; generation <= 3; generation++ {
			numbers := make([]string, batch)
			first := 10_000_000 + rand.IntN(80_000_000)
			for i := range numbers {
				numbers[i] = fmt.Sprintf("+155%d", first/batch*batch+i)
			}
			at.have(numbers...)
			done, err := service.ImportNumbers(ctx, who, conn.ID, numbers)
			must(err)
			if len(done.Imported) == batch { // else some were there, by chance
				fmt.Println("imported", conn.ID, strings.Join(numbers, ","))
			}
			for _, n := range done.Imported[:min(2, len(done.Imported))] {
				_, err := service.VerifyNumber(ctx, who, n.ID, nil)
				must(err)
				fmt.Println("verified", n.ID, n.Number)
			}
			next := provider.Credentials{"sipPassword": account.Secret(fmt.Sprintf("generation-%d %s", generation, name))}
			evidence := prove(ctx, service, who, provider.Merge(credentials, next))
			_, err = service.UpdateConnection(ctx, who, conn.ID, account.ConnectionChange{Credentials: next, EvidenceID: evidence})
			must(err)
			fmt.Println("rotated", conn.ID, evidence, generation)
		}
	}
}

func prove(ctx context.Context, s *account.Service, who account.Caller, c provider.Credentials) string {
	tested, err := s.Test(ctx, who, account.TestRequest{Provider: provider.Telnyx, Credentials: c, SIPConfig: telnyxSIP()})
	must(err)
	return tested.EvidenceID
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKillNineWhileAdministering: a process that is killed at any point of a create, import, rotation or verification leaves nothing
// half made, loses nothing that it had acknowledged, and no evidence that could be used twice.
func TestKillNineWhileAdministering(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 10
	}
	dir, acknowledged := "", 0
	for round := range rounds {
		if round%20 == 0 { // so that looking at everything stays quick
			dir = t.TempDir()
		}
		said := killTenant(t, dir, time.Duration(rand.IntN(60_000))*time.Microsecond)
		checkTenant(t, dir, said)
		acknowledged += len(said)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d kills, %d acknowledged changes", rounds, acknowledged)
	if acknowledged < rounds {
		t.Errorf("only %d changes were acknowledged: the kills come too early to show anything", acknowledged)
	}
}

// killTenant runs a victim, kills it some time after it is ready, and returns what it had acknowledged.
func killTenant(t *testing.T, dir string, lived time.Duration) (said []string) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), tenantVariable+"="+dir)
	victim.Stderr = os.Stderr
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the victim says %q: %v %v", line, err, victim.Wait())
	}
	time.AfterFunc(lived, func() {
		if err := victim.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that is cut was not acknowledged
		}
		said = append(said, strings.TrimSpace(line))
	}
	if err := victim.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the victim ended by itself: %v", err)
	}
	return said
}

// checkTenant opens the database as the next process would.
func checkTenant(t *testing.T, dir string, said []string) {
	t.Helper()
	if problems, err := checkOne(t.Context(), filepath.Join(dir, ConfigFile)); err != nil || len(problems) > 0 {
		t.Fatalf("%v %v", problems, err)
	}
	w := &tenancy{t: t, dir: dir, at: &providers{}, prober: newSIPProber(), engine: &engine{}}
	w.open()
	defer w.db.Close()
	org, err := w.service.FindOrganization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	who := account.Caller{Org: org.ID, Role: account.Owner}
	for _, line := range said {
		checkAcknowledged(w, who, strings.Fields(line))
	}
	// Nothing is half made, acknowledged or not.
	for sentence, query := range map[string]string{
		"connections without a trunk":         "SELECT count(*) FROM connections c WHERE NOT EXISTS (SELECT 1 FROM sip_credentials s WHERE s.connection_id = c.id)",
		"connections without an event":        "SELECT count(*) FROM connections c WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.type = 'connection.created' AND e.subject = 'connection/' || c.id)",
		"numbers without an event":            "SELECT count(*) FROM numbers n WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.type = 'number.imported' AND e.subject = 'number/' || n.id)",
		"verified numbers without an event":   "SELECT count(*) FROM numbers n WHERE verification = 'verified' AND NOT EXISTS (SELECT 1 FROM events e WHERE e.type = 'number.verified' AND e.subject = 'number/' || n.id)",
		"events without an audit entry":       "SELECT abs((SELECT count(*) FROM events) - (SELECT count(*) FROM audit))",
		"imports of some numbers of a batch":  fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM numbers GROUP BY CAST(substr(number, 5) AS INTEGER) / %d HAVING count(*) <> %[1]d)", batch),
		"evidence used for nothing, or twice": "SELECT abs((SELECT count(*) FROM evidence WHERE used_ms IS NOT NULL) - (SELECT count(*) FROM events WHERE type IN ('connection.created', 'connection.rotated')))",
	} {
		if n := w.count(query); n != 0 {
			t.Errorf("%d %s", n, sentence)
		}
	}
	err = w.db.View(t.Context(), func(r account.Reader) error {
		all, err := r.Connections(org.ID)
		if err != nil {
			return err
		}
		for _, c := range all[:min(len(all), 20)] { // newest first
			credentials, err := r.ConnectionCredentials(org.ID, c.ID)
			if err != nil {
				return err
			}
			trunk, err := r.SIPCredentialOf(org.ID, c.ID)
			if err != nil {
				return err
			}
			if trunk.Password.Reveal() != credentials["sipPassword"].Reveal() {
				t.Errorf("connection %d is rotated by half", c.ID)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// checkAcknowledged looks for one change, and tries its evidence again.
func checkAcknowledged(w *tenancy, who account.Caller, words []string) {
	w.t.Helper()
	id := int64(0)
	if _, err := fmt.Sscan(words[1], &id); err != nil {
		w.t.Fatal(err)
	}
	switch words[0] {
	case "created", "rotated":
		if n := w.count("SELECT count(*) FROM evidence WHERE id = ? AND used_ms IS NOT NULL", words[2]); n != 1 {
			w.t.Errorf("%q: its evidence is not used up", words)
		}
		trunk, err := w.service.Connection(w.t.Context(), who, id)
		if err != nil {
			w.t.Errorf("%q is lost: %v", words, err)
			return
		}
		credential, err := w.service.SIPCredential(w.t.Context(), who, trunk.SIPCredential)
		generation := -1
		if _, scan := fmt.Sscanf(credential.Password.Reveal(), "generation-%d", &generation); err != nil || scan != nil {
			w.t.Errorf("%q: %v %v", words, err, scan)
		}
		if words[0] == "rotated" && fmt.Sprint(generation) < words[3] {
			w.t.Errorf("%q is lost: generation %d is in force", words, generation)
		}
		again := telnyxCredentials()
		again["sipPassword"] = credential.Password
		_, err = w.service.CreateConnection(w.t.Context(), who, account.NewConnection{Provider: provider.Telnyx, Credentials: again, SIPConfig: telnyxSIP(), EvidenceID: words[2]})
		if !is[*account.Invalid](err) || !strings.Contains(err.Error(), "was used before") {
			w.t.Errorf("%q: the evidence again: %v", words, err)
		}
	case "imported":
		for number := range strings.SplitSeq(words[2], ",") {
			if n := w.count("SELECT count(*) FROM numbers WHERE number = ?", number); n != 1 {
				w.t.Errorf("%q is lost: %s", words, number)
			}
		}
	case "verified":
		n, err := w.service.Number(w.t.Context(), who, id)
		if err != nil || n.Verification != account.VerifiedOK || n.Status != account.NumberActive {
			w.t.Errorf("%q is lost: %+v %v", words, n, err)
		}
	default:
		w.t.Errorf("the victim says %q", words)
	}
}
