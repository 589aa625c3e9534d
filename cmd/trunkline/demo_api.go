package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trunkline/internal/carrier"
)

// What the demo rotates to.
const demoNewPassword = "battery staple correct"

// ask sends a request to the API and shows it as a command that works in a shell beside a demo that is kept: KEY holds the key,
// and bodies with secrets stand in files. It fails unless the answer has the status.
func (d *demonstration) ask(ctx context.Context, status int, method, path string, body any) (answer map[string]any, err error) {
	text, err := d.exchange(ctx, status, method, path, body, "application/json", func(r io.Reader) ([]byte, error) { return io.ReadAll(r) })
	if err != nil || len(text) == 0 {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if list, ok := value.([]any); ok {
		value = map[string]any{"list": list}
	}
	answer, _ = value.(map[string]any)
	return answer, nil
}

func (d *demonstration) exchange(ctx context.Context, status int, method, path string, body any, accept string, read func(io.Reader) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	url := "http://" + d.daemon.http.Addr().String() + path
	content, shown, err := d.written(body)
	if err != nil {
		return nil, err
	}
	command := "curl -H \"Authorization: Bearer $KEY\""
	if method != http.MethodGet {
		command += " -X " + method
	}
	if accept != "application/json" {
		command += " -NH 'Accept: " + accept + "'"
	}
	if shown != "" {
		command += " -H 'Content-Type: application/json' -d " + shown
	}
	fmt.Fprintf(d.out, "   $ %s %s\n", command, url)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+d.key)
	request.Header.Set("Accept", accept)
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(text))
	}
	return read(response.Body)
}

// written is a body, and how a command names it: as it is, or as a file of the demo's folder where it holds a secret.
func (d *demonstration) written(body any) (content []byte, shown string, err error) {
	if body == nil {
		return nil, "", nil
	}
	if content, err = json.Marshal(body); err != nil {
		return nil, "", err
	}
	if !bytes.Contains(content, []byte(`"credentials"`)) {
		return content, "'" + string(content) + "'", nil
	}
	d.bodies++
	file := filepath.Join(d.folder, fmt.Sprintf("body-%d.json", d.bodies))
	return content, "@" + file, os.WriteFile(file, content, 0o600)
}

// trunk is what is known of the carrier.
func (d *demonstration) trunk(password string) map[string]any {
	return map[string]any{
		"provider": "manual", "credentials": map[string]any{"username": demoUser, "password": password},
		"sip_config": map[string]any{"server": d.carrier.Addr().String(), "domain": "carrier.example", "register": true, "cps_limit": demoRate,
			"source_addresses": []string{d.carrier.Addr().String()}, "test_number": demoNumber},
	}
}

// firstKey starts the edge and makes a key, as an operator does once.
func (d *demonstration) firstKey(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	d.saw("the edge listens on %s over UDP and TCP, HTTP on %s", d.edge, d.daemon.http.Addr())
	args := []string{"key", "create", "--name", "demo", "--config", d.file}
	fmt.Fprintf(d.out, "   $ KEY=$(trunkline %s)\n", strings.Join(args, " "))
	var out, talk bytes.Buffer
	if status := execute(ctx, args, streams{strings.NewReader(""), &out, &talk}); status != exitOK {
		return fmt.Errorf("key create ended with status %d: %s", status, talk.String())
	}
	d.key = strings.TrimSpace(out.String())
	d.saw("the first organization, its owner and a key: %s…", d.key[:15])
	return os.WriteFile(filepath.Join(d.folder, "key"), []byte(d.key+"\n"), 0o600)
}

// test proves credentials over the API, step by step, and returns the evidence.
func (d *demonstration) test(ctx context.Context, password string) (evidence string, err error) {
	var result map[string]any
	_, err = d.exchange(ctx, http.StatusOK, http.MethodPost, "/v1/voip-connections/test", d.trunk(password), "text/event-stream", func(r io.Reader) ([]byte, error) {
		event := ""
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				event = name
			}
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			if err := json.Unmarshal([]byte(data), &result); err != nil {
				return nil, err
			}
			if event == "step" && result["verdict"] == "pass" {
				d.saw("%-10s %s", result["step"], result["message"])
			}
		}
		return nil, lines.Err()
	})
	if err != nil {
		return "", err
	}
	if result["status"] != "pass" {
		return "", fmt.Errorf("the test: %v", result)
	}
	evidence, _ = result["verification_evidence_id"].(string)
	d.saw("credentials_valid, inbound_reachable, outbound_authorized: pass; evidence for 15 minutes, good once")
	return evidence, nil
}

func (d *demonstration) testOverAPI(ctx context.Context) (err error) {
	d.evidence, err = d.test(ctx, demoPassword)
	return err
}

// create makes the connection, which registers at once.
func (d *demonstration) create(ctx context.Context) error {
	body := d.trunk(demoPassword)
	body["name"], body["verification_evidence_id"] = "Carrier", d.evidence
	made, err := d.ask(ctx, http.StatusCreated, http.MethodPost, "/v1/voip-connections", body)
	if err != nil {
		return err
	}
	d.connection = fmt.Sprintf("/v1/voip-connections/%v", made["id"])
	d.saw("connection %v is %v: trunk %v of the edge", made["id"], made["status"], made["trunk"])
	return d.registered(ctx)
}

// bring lists what there is to import, and imports the number.
func (d *demonstration) bring(ctx context.Context) error {
	available, err := d.ask(ctx, http.StatusOK, http.MethodGet, d.connection+"/available-numbers", nil)
	if err != nil {
		return err
	}
	d.saw("a manual trunk has no API to ask: %d numbers are offered, any of ours may be named", len(available["list"].([]any)))
	imported, err := d.ask(ctx, http.StatusCreated, http.MethodPost, d.connection+"/import-numbers", map[string]any{"numbers": []string{demoNumber}})
	if err != nil {
		return err
	}
	number := imported["list"].([]any)[0].(map[string]any)
	d.number = fmt.Sprintf("/v1/phone-numbers/%v", number["id"])
	d.saw("number %v: %v, %v", number["number"], number["status"], number["voip_verification_status"])
	return nil
}

// verify makes the round trip.
func (d *demonstration) verify(ctx context.Context) error {
	billed := d.carrier.Billed()
	number, err := d.ask(ctx, http.StatusOK, http.MethodPost, d.number+"/verify-voip", nil)
	if err != nil {
		return err
	}
	if more := d.carrier.Billed() - billed; more > 0 {
		return fmt.Errorf("the carrier bills %s for a test", more)
	}
	if number["status"] != "active" || number["voip_verification_status"] != "verified" {
		return fmt.Errorf("the number: %v", number)
	}
	d.saw("a call went out and came back in: the number is %v and %v; the carrier bills nothing", number["voip_verification_status"], number["status"])
	return nil
}

// assign makes the application an agent and gives it the number, both ways.
func (d *demonstration) assign(ctx context.Context) error {
	agent, err := d.ask(ctx, http.StatusCreated, http.MethodPost, "/v1/agents", map[string]any{"name": "app",
		"destinations": []any{map[string]any{"uri": "sip:" + d.application.String() + ";transport=udp"}}, "source_addresses": []string{d.application.String()}})
	if err != nil {
		return err
	}
	d.agent = agent["id"]
	if _, err := d.ask(ctx, http.StatusOK, http.MethodPatch, d.number, map[string]any{"inbound_agent_id": d.agent, "outbound_agent_id": d.agent}); err != nil {
		return err
	}
	d.saw("calls to %s reach the application, and it may call out with it", demoNumber)
	return nil
}

// originate has the edge call the application and then somebody outside.
func (d *demonstration) originate(ctx context.Context) error {
	before := len(d.carrier.Calls())
	made, err := d.ask(ctx, http.StatusCreated, http.MethodPost, "/v1/calls", map[string]any{"agent_id": d.agent, "from": demoNumber, "to": demoFriend})
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/calls/%v", made["id"])
	one, other := func() carrier.CallInfo { return last(d.app.Calls()) }, func() carrier.CallInfo { return last(d.carrier.Calls()) }
	ringing, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	if err := eventually(ringing, "the call to arrive", func() bool { return len(d.carrier.Calls()) > before && !other().Answer.IsZero() }); err != nil {
		return err
	}
	if err := d.mediaBothWays(ctx, one, other); err != nil {
		return err
	}
	if _, err := d.ask(ctx, http.StatusNoContent, http.MethodPost, path+"/hangup", nil); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := eventually(limited, "the BYEs", func() bool { return !one().End.IsZero() && !other().End.IsZero() }); err != nil {
		return err
	}
	d.calls++
	d.saw("the application was called, then %s; both were hung up over the API", demoFriend)
	return nil
}

// rotate changes the password while a call is up.
func (d *demonstration) rotate(ctx context.Context) error {
	call, err := d.app.Call(ctx, demoNumber, demoFriend)
	if err != nil {
		return err
	}
	other := last(d.carrier.Calls())
	d.carrier.SetPassword(demoNewPassword)
	d.saw("a call is up, and the password is changed at the carrier")
	evidence, err := d.test(ctx, demoNewPassword)
	if err != nil {
		return err
	}
	body := d.trunk(demoNewPassword)
	change := map[string]any{"credentials": map[string]any{"password": demoNewPassword}, "sip_config": body["sip_config"], "verification_evidence_id": evidence}
	if _, err := d.ask(ctx, http.StatusOK, http.MethodPatch, d.connection, change); err != nil {
		return err
	}
	if !call.Info().End.IsZero() {
		return errors.New("the call ended with the rotation")
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := call.HangUp(limited); err != nil {
		return err
	}
	find := func() (found carrier.CallInfo) {
		for _, c := range d.carrier.Calls() {
			if c.CallID == other.CallID {
				found = c
			}
		}
		return found
	}
	if err := eventually(limited, "the BYE", func() bool { return !find().End.IsZero() }); err != nil {
		return err
	}
	d.calls++
	d.saw("the call went on through it, and the number needs no new import; new calls use the new password")
	return d.registered(ctx)
}
