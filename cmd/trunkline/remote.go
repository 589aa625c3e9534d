package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"trunkline/config"
)

const (
	defaultAPI    = "http://127.0.0.1:8080"
	answerLimit   = 2 * time.Minute // of one answer; a test takes its time
	longestAnswer = 64 << 20        // bytes
	patience      = 10 * time.Second
)

// remoteFlags say which daemon to talk to. The key is never a flag: command lines are seen by others.
type remoteFlags struct{ api, keyFile, ca, profile string }

func (f *remoteFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.api, "api", "", "URL of the daemon (default: $TRUNKLINE_API_URL, the profile's, "+defaultAPI+")")
	flags.StringVar(&f.keyFile, "api-key-file", "", "file with the API key, alone on its first line (default: $TRUNKLINE_API_KEY, $TRUNKLINE_API_KEY_FILE, the profile's)")
	flags.StringVar(&f.ca, "api-ca", "", "PEM file of the authorities to trust for https (default: the profile's, the system's)")
	flags.StringVar(&f.profile, "profile", "", "entry of profiles in trunkline/cli.yaml of the user's configuration folder (default: $TRUNKLINE_PROFILE, default)")
}

// profile is one daemon in cli.yaml.
type profile struct {
	API     string        `yaml:"api"`
	Key     config.Secret `yaml:"key"`
	KeyFile string        `yaml:"key_file"`
	CA      string        `yaml:"ca"`
}

// remote is a daemon spoken to over its API.
type remote struct {
	base *url.URL
	key  config.Secret
	http *http.Client
}

// open finds out whom to talk to, and says on talk what is not safe about it.
func (f *remoteFlags) open(talk io.Writer) (*remote, error) {
	p, err := f.readProfile(talk)
	if err != nil {
		return nil, err
	}
	address := firstOf(f.api, os.Getenv("TRUNKLINE_API_URL"), p.API, defaultAPI)
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("the address of the API is not a URL such as " + defaultAPI)
	}
	key, err := f.readKey(p, talk)
	if err != nil {
		return nil, err
	}
	if host := base.Hostname(); base.Scheme == "http" && !isLoopback(host) {
		fmt.Fprintf(talk, "warning: the API key goes to %s without encryption; use https\n", host)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca := firstOf(f.ca, p.CA); ca != "" {
		roots, err := readRoots(ca)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the key goes nowhere else
	return &remote{base: base, key: key, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// readProfile reads cli.yaml; none is an empty one.
func (f *remoteFlags) readProfile(talk io.Writer) (profile, error) {
	name := firstOf(f.profile, os.Getenv("TRUNKLINE_PROFILE"))
	folder, err := os.UserConfigDir()
	if err != nil { // no home: nothing to read
		folder = ""
	}
	path := filepath.Join(folder, "trunkline", "cli.yaml")
	text, err := os.ReadFile(path)
	switch {
	case folder == "" || errors.Is(err, os.ErrNotExist):
		if name != "" {
			return profile{}, fmt.Errorf("there is no profile %s: %s is not there", name, path)
		}
		return profile{}, nil
	case err != nil:
		return profile{}, err
	}
	var file struct {
		Profiles map[string]profile `yaml:"profiles"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		return profile{}, fmt.Errorf("%s: it is not YAML with profiles: {NAME: {api, key, key_file, ca}}", path) // the error would show the text
	}
	p, ok := file.Profiles[firstOf(name, "default")]
	if !ok && name != "" {
		return profile{}, fmt.Errorf("%s has no profile %s", path, name)
	}
	if p.Key != "" {
		warnOpen(path, talk)
	}
	return p, nil
}

func (f *remoteFlags) readKey(p profile, talk io.Writer) (config.Secret, error) {
	if f.keyFile == "" {
		if key := os.Getenv("TRUNKLINE_API_KEY"); key != "" {
			return config.Secret(key), nil
		}
	}
	path := firstOf(f.keyFile, os.Getenv("TRUNKLINE_API_KEY_FILE"))
	switch {
	case path == "" && p.Key != "":
		return p.Key, nil
	case path == "":
		path = p.KeyFile
	}
	if path == "" {
		return "", &apiError{Status: http.StatusUnauthorized, Message: "no API key: set TRUNKLINE_API_KEY or --api-key-file; `trunkline key create` makes one"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	warnOpen(path, talk)
	line, _, _ := strings.Cut(string(text), "\n")
	return config.Secret(strings.TrimSpace(line)), nil
}

// warnOpen says so when others may read a file with a secret.
func warnOpen(path string, talk io.Writer) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(talk, "warning: %s holds a secret and others may read it; chmod 600\n", path)
	}
}

func readRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return roots, nil
}

// apiError is what the API refused, or did not do.
type apiError struct {
	Status     int
	Message    string
	RetryAfter time.Duration
}

func (e *apiError) Error() string { return e.Message }

// get reads, and waits where it is asked to come again.
func (r *remote) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return backoff.Retry(ctx, func() (json.RawMessage, error) {
		answer, err := r.call(ctx, http.MethodGet, path, nil)
		later, ok := errors.AsType[*apiError](err)
		if err == nil || !ok || later.RetryAfter <= 0 || later.RetryAfter > patience {
			if err != nil {
				err = backoff.Permanent(err)
			}
			return answer, err
		}
		return nil, errors.Join(err, &backoff.RetryAfterError{Duration: later.RetryAfter})
	}, backoff.WithMaxTries(4))
}

// call sends one request and returns the answer's body; nil for none. A POST carries an Idempotency-Key.
func (r *remote) call(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	response, err := r.send(ctx, method, path, body, "application/json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return nil, r.failure(ctx, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("%s answers, but not as the API of trunkline does; --api sets another address", r.base.Host)
	}
	return text, nil
}

// send sends a request and returns an answer that is no refusal.
func (r *remote) send(ctx context.Context, method, path string, body any, accept string) (*http.Response, error) {
	reference, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	target := r.base.JoinPath(reference.Path)
	target.RawQuery = reference.RawQuery
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Authorization", "Bearer "+r.key.Reveal())
	request.Header.Set("User-Agent", "trunkline-cli")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost && accept == "application/json" { // a stream cannot be played again
		request.Header.Set("Idempotency-Key", "cli-"+rand.Text())
	}
	response, err := r.http.Do(request)
	if err != nil {
		return nil, r.failure(ctx, err)
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

// failure says why there is no answer.
func (r *remote) failure(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	timeout, isNet := errors.AsType[net.Error](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errInterrupted
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return &apiError{Status: http.StatusGatewayTimeout, Message: fmt.Sprintf("%s does not answer in time", r.base.Host)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no daemon answers at %s: is `trunkline serve` running? --api sets another address", r.base)
	case isTLS:
		return fmt.Errorf("%s: the certificate is not trusted: %w; --api-ca names the authority", r.base.Host, err)
	}
	return fmt.Errorf("%s: %w", r.base.Host, err)
}

// refusal reads the API's errors of both families.
func refusal(response *http.Response) error {
	e := &apiError{Status: response.StatusCode}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20)) // without it, the status alone tells
	var said map[string]json.RawMessage
	if json.Unmarshal(text, &said) != nil {
		e.Message = fmt.Sprintf("the answer is %s; is this the API of trunkline?", response.Status)
		return e
	}
	var detail string
	if json.Unmarshal(said["detail"], &detail) == nil && detail != "" {
		e.Message = detail
		return e
	}
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(said)) {
		var messages []string
		if json.Unmarshal(said[field], &messages) == nil {
			lines = append(lines, field+": "+strings.Join(messages, "; "))
		}
	}
	if e.Message = strings.Join(lines, "\n  "); e.Message == "" {
		e.Message = "the answer is " + response.Status
	}
	return e
}

// follow sends a request and hands each server-sent event to hear, until the stream ends.
func (r *remote) follow(ctx context.Context, method, path string, body any, hear func(event string, data json.RawMessage) error) error {
	response, err := r.send(ctx, method, path, body, "text/event-stream")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, longestAnswer)
	event, data := "", []byte(nil)
	for lines.Scan() {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			if err := hear(event, data); err != nil {
				return err
			}
			event, data = "", nil
		case name == "event":
			event = value
		case name == "data":
			data = append(data, value...)
		}
	}
	if err := lines.Err(); err != nil {
		return r.failure(ctx, err)
	}
	return nil
}
