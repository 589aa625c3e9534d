//go:build interop

package peers

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hold takes the configuration database for itself, as a backup gone wrong or a forgotten shell would, and returns what lets it go.
func hold(t *testing.T, dir string) (release func()) {
	t.Helper()
	shell := exec.Command("sqlite3", "-batch", filepath.Join(dir, "trunkline.db"))
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, ".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'held';\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the database is not held: %q, %v", line, err)
	}
	return func() {
		if _, err := io.WriteString(in, "ROLLBACK;\n"); err != nil {
			t.Error(err)
		}
		in.Close()
		if err := shell.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// newAgent asks the API for an agent.
func (s *stage) newAgent(t *testing.T, key, name string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTP.String()+"/v1/agents",
		strings.NewReader(`{"name": "`+name+`", "destinations": [{"uri": "sip:127.0.0.3:5080"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestLockedDatabaseStopsNoCall: while another process holds the configuration database, or the disk is full, calls flow, the API
// says what is wrong in place of changing anything, and works again afterwards.
func TestLockedDatabaseStopsNoCall(t *testing.T) {
	Need(t, "sipp", "sqlite3")
	disk := smallDisk(t, "8m")
	s := newStage(t, stageOptions{data: filepath.Join(disk, "data")})
	status, key, complaint := Command(t, "key", "create", "--name", "test", "--config", s.File)
	if status != 0 {
		t.Fatalf("key create: %s", complaint)
	}
	key = strings.TrimSpace(key)
	if status, body := s.newAgent(t, key, "before"); status != 201 {
		t.Fatalf("before: %d %s", status, body)
	}

	trouble := func(name, says string) {
		t.Helper()
		answers := make(chan string, 1)
		go func() {
			status, body := s.newAgent(t, key, name)
			if status != 503 || !strings.Contains(body, says) {
				answers <- http.StatusText(status) + " " + body
			}
			close(answers)
		}()
		if r := s.load(t, run{calls: 800, rate: 400}); r.Good != 800 || r.Repeated != 0 {
			t.Errorf("%s: %+v: the database must not be heard", name, r)
		}
		if wrong, some := <-answers; some {
			t.Errorf("%s: the API says %s, want a 503 about %q", name, wrong, says)
		}
	}
	release := hold(t, s.Data)
	trouble("locked", "lock")
	release()
	if status, body := s.newAgent(t, key, "between"); status != 201 {
		t.Errorf("after the lock: %d %s", status, body)
	}

	fill(t, disk)
	trouble("full", "full")
	s.Kill() // there is no room to end in order
}
