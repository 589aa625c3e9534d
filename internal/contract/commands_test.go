package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/internal/peers"
)

// shell runs the commands of the program as it ships, against the daemon of a world.
type shell struct {
	w   *world
	env []string
}

func (o *org) shell() *shell {
	home := o.w.t.TempDir() // no profile of whoever runs the tests
	return &shell{o.w, append(os.Environ(), "TRUNKLINE_API_URL=http://"+o.w.edge.HTTP.String(), "TRUNKLINE_API_KEY="+o.key, "HOME="+home, "XDG_CONFIG_HOME="+home)}
}

// run runs a command; it must end with that status.
func (s *shell) run(t testing.TB, status int, args ...string) (out, talk string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peers.Binary(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &stdout, &stderr
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	s.w.mu.Lock()
	s.w.transcript.WriteString(stdout.String() + stderr.String()) // no secret in there either
	s.w.mu.Unlock()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%q: exit status %d, want %d\n%s%s", args, got, status, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// json runs a command with -o json and decodes what it prints.
func (s *shell) json(t testing.TB, args ...string) reply {
	t.Helper()
	out, _ := s.run(t, 0, append(args, "-o", "json")...)
	r := reply{text: out}
	if err := json.Unmarshal([]byte(out), &r.value); err != nil {
		t.Fatalf("%q prints no JSON: %v\n%s", args, err, out)
	}
	return r
}

// without returns a shell whose environment lacks names.
func (s *shell) without(names ...string) *shell {
	var env []string
next:
	for _, pair := range s.env {
		for _, name := range names {
			if strings.HasPrefix(pair, name+"=") {
				continue next
			}
		}
		env = append(env, pair)
	}
	return &shell{s.w, env}
}

func secretFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// contains fails unless every word is in text.
func contains(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in:\n%s", word, text)
		}
	}
}

// TestCommands walks the whole flow with the commands alone: test, create, import, verify, assign, call, rotate, delete.
func TestCommands(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	s := o.shell()
	password := secretFile(t, sipPassword)
	number, second, third := w.number(), w.number(), w.number()
	carrier := []string{"--server", w.carrier.Addr().String(), "--domain", "carrier.example", "--transport", "udp", "--register", "--source", w.carrier.Addr().Addr().String(),
		"--test-number", number, "--auth-user", sipUser}
	with := func(verb []string, more ...string) []string { return append(append(verb, carrier...), more...) }

	t.Run("a trunk that fails its test is not created", func(t *testing.T) {
		_, talk := s.run(t, 3, with([]string{"trunk", "create"}, "--auth-password-file", secretFile(t, wrongPassword))...)
		contains(t, talk, "✗ credentials_valid", "fix:", "nothing was created")
		out, _ := s.run(t, 0, "trunk", "list")
		if strings.Count(out, "\n") != 1 {
			t.Errorf("trunks:\n%s", out)
		}
	})
	made := s.json(t, with([]string{"trunk", "create", "--name", "acme main"}, "--auth-password-file", password)...)
	id := fmt.Sprint(made.num("id"))
	equal(t, made.str("status"), "connected")
	s.run(t, 0, "trunk", "register", id)

	t.Run("trunks are shown in three ways", func(t *testing.T) {
		out, _ := s.run(t, 0, "trunk", "list")
		contains(t, out, "ID", "NAME", "REGISTRATION", "acme main", "registered")
		out, _ = s.run(t, 0, "trunk", "get", id, "-o", "yaml")
		contains(t, out, "name: acme main", "sip_config:\n")
		out, _ = s.run(t, 0, "trunk", "get", id)
		contains(t, out, "acme main", "sip_credential_id")
	})
	t.Run("numbers are imported", func(t *testing.T) {
		out, talk := s.run(t, 0, "number", "import", id, number, second, third, "12345")
		contains(t, out, number, second, third, "provisioning")
		contains(t, talk, "skipped 12345: malformed")
		listed := s.json(t, "number", "list", "--trunk", id)
		equal(t, len(listed.list("")), 3)
	})
	t.Run("a number is verified step by step", func(t *testing.T) {
		_, talk := s.run(t, 0, "number", "verify", number)
		contains(t, talk, "✓ inbound_reachable", "✓ outbound_authorized", " ms)")
	})
	t.Run("many numbers are verified with progress", func(t *testing.T) {
		out, talk := s.run(t, 0, "number", "verify", "--trunk", id)
		contains(t, out, "done: 2 of 2 verified, 0 failed")
		contains(t, talk, "2 of 2 done")
		out, _ = s.run(t, 0, "number", "list")
		equal(t, strings.Count(out, "verified"), 3)
	})
	agent := s.json(t, "agent", "create", "--name", "app", "--destination", "sip:"+w.app.Addr().String()+";transport=udp,1,10", "--source", w.app.Addr().Addr().String())
	agentID := fmt.Sprint(agent.num("id"))
	s.run(t, 0, "number", "assign", number, "--inbound-agent", agentID, "--outbound-agent", agentID)

	t.Run("a call is listed, traced and hung up", func(t *testing.T) {
		call, err := w.app.Call(bounded(t), number, "+14155550100")
		if err != nil {
			t.Fatal(err)
		}
		live := s.json(t, "call", "list", "--state", "live")
		equal(t, len(live.list("")), 1)
		callID := live.str("0.id")
		out, _ := s.run(t, 0, "call", "trace", callID)
		contains(t, out, "INVITE", "200")
		s.run(t, 0, "call", "hangup", callID)
		select {
		case <-call.Ended():
		case <-time.After(waitLong):
			t.Error("the call goes on")
		}
		peers.Eventually(t, waitLong, "the call has ended", func() bool {
			out, _ := s.run(t, 0, "call", "list", "--state", "ended")
			return strings.Contains(out, callID)
		})
		s.run(t, 6, "call", "hangup", callID)
		s.run(t, 5, "call", "trace", "none")
	})
	t.Run("a call is originated", func(t *testing.T) {
		placed := s.json(t, "call", "originate", "--agent", agentID, "--from", number, "--to", "+14155550100")
		callID := placed.str("id")
		peers.Eventually(t, waitLong, "agent and number talk", func() bool {
			r := s.json(t, "call", "get", callID)
			return r.has("answered_at") && r.str("answered_at") != ""
		})
		s.run(t, 0, "call", "hangup", callID)
		s.run(t, 1, "call", "originate", "--agent", agentID, "--from", "+15559990000", "--to", "+14155550100")
	})
	t.Run("credentials are rotated", func(t *testing.T) {
		_, talk := s.run(t, 2, "trunk", "update", id, "--cps-limit", "5")
		contains(t, talk, "--credentials-file")
		w.carrier.SetPassword(newPassword)
		s.run(t, 3, "trunk", "update", id, "--auth-user", sipUser, "--auth-password-file", password)
		s.run(t, 0, "trunk", "update", id, "--auth-user", sipUser, "--auth-password-file", secretFile(t, newPassword), "--cps-limit", "5.5", "--name", "renamed")
		s.run(t, 0, "trunk", "register", id)
		equal(t, s.json(t, "trunk", "get", id).at("sip_config.cps_limit").(float64), 5.5)
		out, _ := s.run(t, 0, "cps", "list")
		contains(t, out, "KEY", "5.5")
	})
	t.Run("deleting asks, and refuses what is in use", func(t *testing.T) {
		_, talk := s.run(t, 2, "trunk", "delete", id)
		contains(t, talk, "--yes")
		s.run(t, 6, "trunk", "delete", id, "--yes")
		s.run(t, 0, "trunk", "delete", id, "--yes", "--force")
		s.run(t, 5, "trunk", "get", id)
		s.run(t, 0, "agent", "delete", agentID, "--yes", "--force")
	})
	t.Run("agents change", func(t *testing.T) {
		made := s.json(t, "agent", "create", "--name", "other", "--destination", "sip:127.0.0.3:5999")
		other := fmt.Sprint(made.num("id"))
		changed := s.json(t, "agent", "update", other, "--max-calls", "3")
		equal(t, changed.num("max_calls"), int64(3))
		equal(t, changed.str("name"), "other")
		s.run(t, 2, "agent", "update", other)
		s.run(t, 2, "agent", "create", "--destination", "sip:x,y")
	})
	t.Run("ids are completed", func(t *testing.T) {
		out, _ := s.run(t, 0, "__complete", "agent", "get", "")
		contains(t, out, "other")
		for _, kind := range []string{"bash", "zsh", "fish"} {
			out, _ := s.run(t, 0, "completion", kind)
			contains(t, out, "trunkline")
		}
	})
}

// TestCommandStatuses: scripts tell by the exit status what went wrong.
func TestCommandStatuses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	s := o.shell()
	t.Run("no key", func(t *testing.T) {
		_, talk := s.without("TRUNKLINE_API_KEY").run(t, 4, "trunk", "list")
		contains(t, talk, "TRUNKLINE_API_KEY", "--api-key-file")
	})
	t.Run("a key from a file", func(t *testing.T) {
		file := secretFile(t, o.key)
		_, talk := s.without("TRUNKLINE_API_KEY").run(t, 0, "trunk", "list", "--api-key-file", file)
		equal(t, talk, "")
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		_, talk = s.without("TRUNKLINE_API_KEY").run(t, 0, "trunk", "list", "--api-key-file", file)
		contains(t, talk, "others may read it")
	})
	t.Run("a key from a profile", func(t *testing.T) {
		home := t.TempDir()
		if err := os.MkdirAll(filepath.Join(home, "trunkline"), 0o700); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("profiles:\n  prod: {api: \"http://%s\", key: %s}\n", w.edge.HTTP, o.key)
		if err := os.WriteFile(filepath.Join(home, "trunkline", "cli.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bare := s.without("TRUNKLINE_API_KEY", "TRUNKLINE_API_URL", "XDG_CONFIG_HOME")
		bare.env = append(bare.env, "XDG_CONFIG_HOME="+home)
		bare.run(t, 0, "trunk", "list", "--profile", "prod")
		_, talk := bare.run(t, 1, "trunk", "list", "--profile", "test")
		contains(t, talk, "no profile test")
	})
	t.Run("a wrong key", func(t *testing.T) {
		wrong := s.without("TRUNKLINE_API_KEY")
		wrong.env = append(wrong.env, "TRUNKLINE_API_KEY=sk_live_"+strings.Repeat("0", 44))
		wrong.run(t, 4, "trunk", "list")
	})
	t.Run("a member may not change", func(t *testing.T) {
		w.org("acme", "member").shell().run(t, 4, "agent", "create", "--name", "x", "--destination", "sip:127.0.0.3")
	})
	t.Run("nobody there", func(t *testing.T) {
		_, talk := s.run(t, 1, "trunk", "list", "--api", "http://127.0.0.1:1")
		contains(t, talk, "no daemon answers at http://127.0.0.1:1", "trunkline serve")
	})
	t.Run("what is not there", func(t *testing.T) { s.run(t, 5, "number", "get", "99") })
	t.Run("what makes no sense", func(t *testing.T) {
		for _, args := range [][]string{{"trunk", "get"}, {"trunk", "get", "1", "2"}, {"number", "verify"}, {"number", "verify", "x"}, {"call", "originate"}, {"trunk", "list", "-o", "xml"},
			{"cps", "watch", "--interval", "1ms"}, {"number", "import", "1"}, {"webhook", "create"}} {
			s.run(t, 2, args...)
		}
	})
	t.Run("every mistake with its field", func(t *testing.T) {
		_, talk := s.run(t, 1, "agent", "create", "--name", "x", "--destination", "nonsense")
		contains(t, talk, "destinations[0].uri")
	})
}
