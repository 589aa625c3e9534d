package store

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// secretWorld uses every secret there is, somewhere.
func secretWorld(t *testing.T) (*tenancy, account.Caller, account.Connection, account.SIPCredential, []string) {
	t.Helper()
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	merged := provider.Merge(telnyxCredentials(), provider.Credentials{"sipPassword": rotatedSecret})
	if _, err := w.service.UpdateConnection(t.Context(), acme, conn.ID, account.ConnectionChange{EvidenceID: w.evidence(acme, merged, telnyxSIP()), Credentials: provider.Credentials{"sipPassword": rotatedSecret}}); err != nil {
		t.Fatal(err)
	}
	w.evidence(acme, provider.Merge(telnyxCredentials(), provider.Credentials{"apiKey": evidenceSecret}), telnyxSIP()) // tested and not used
	credential, err := w.service.CreateSIPCredential(t.Context(), acme, account.SIPCredentialSettings{Server: "sip.example.com", AuthUser: "u", Password: daSecret})
	if err != nil {
		t.Fatal(err)
	}
	_, raw, err := w.service.CreateKey(t.Context(), acme, "program")
	if err != nil {
		t.Fatal(err)
	}
	return w, acme, conn, credential, []string{telnyxSecret, sipSecret, rotatedSecret, daSecret, evidenceSecret, raw.Reveal(), raw.Reveal()[8:]}
}

// TestNoPageHoldsASecret looks through every byte of every file: the database, its log, what was deleted in them, the copy.
func TestNoPageHoldsASecret(t *testing.T) {
	w, _, _, _, secrets := secretWorld(t)
	look := func(when string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(w.dir, "*"))
		if err != nil || len(files) < 3 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			page, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range secrets {
				if bytes.Contains(page, []byte(secret)) || bytes.Contains(page, []byte(hex.EncodeToString([]byte(secret)))) {
					t.Errorf("%s: %s holds the secret %.6s…", when, filepath.Base(file), secret)
				}
			}
		}
	}
	look("in use")
	if _, err := w.db.RotateRing(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("after rotating the ring")
	if err := Backup(t.Context(), w.dir, ConfigFile, filepath.Join(w.dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	look("closed")
}

// TestRingRotation: all secrets open under the new key, in this process and in one that was there before, and the old key is gone.
func TestRingRotation(t *testing.T) {
	w, acme, conn, credential, _ := secretWorld(t)
	path := filepath.Join(w.dir, ringFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key ring: %v %v", info, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	digest, err := w.db.Digest(t.Context(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	evidence := w.evidence(acme, telnyxCredentials(), telnyxSIP())
	n, err := beside.RotateRing(t.Context())
	if err != nil || n < 6 {
		t.Fatalf("%d sealed anew, %v", n, err)
	}
	after, err := os.ReadFile(path)
	if err != nil || bytes.Equal(before, after) || bytes.Count(after, []byte(`"id"`)) != 1 {
		t.Errorf("the ring: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key ring: %v %v", info, err)
	}
	reads := func(db *DB) {
		t.Helper()
		err := db.View(t.Context(), func(r account.Reader) error {
			c, err := r.ConnectionCredentials(acme.Org, conn.ID)
			if err != nil || c["apiKey"].Reveal() != telnyxSecret || c["sipPassword"].Reveal() != rotatedSecret {
				t.Errorf("connection: %v", err)
			}
			s, err := r.SIPCredential(acme.Org, credential.ID)
			if err != nil || s.Password.Reveal() != daSecret {
				t.Errorf("SIP credential: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	reads(w.db) // it has never heard of the new key
	reads(beside)
	// What was tested before may be used after; and what is sealed from now on is under the new key, whoever seals it.
	if _, err := w.service.CreateConnection(t.Context(), acme, account.NewConnection{Name: "later", Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(), EvidenceID: evidence}); err != nil {
		t.Error(err)
	}
	if again, err := beside.Digest(t.Context(), []byte("x")); err != nil || again != digest {
		t.Errorf("digests changed: %v", err)
	}
	reopened, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer reopened.Close()
	reads(reopened)
	if problems, err := checkSecrets(t.Context(), w.dir); err != nil || len(problems) > 0 {
		t.Errorf("check: %v %v", problems, err)
	}
}

// TestASecretBelongsToItsRow: a sealed secret that is moved, cut or changed does not open.
func TestASecretBelongsToItsRow(t *testing.T) {
	w, acme, _, credential, _ := secretWorld(t)
	other, err := w.service.CreateSIPCredential(t.Context(), acme, account.SIPCredentialSettings{Server: "sip2.example.com", AuthUser: "u", Password: "another"})
	if err != nil {
		t.Fatal(err)
	}
	read := func() error { return second(w.service.SIPCredential(t.Context(), acme, credential.ID)) }
	w.exec("CREATE TABLE kept AS SELECT sealed FROM sip_credentials WHERE id = ?", credential.ID)
	for name, query := range map[string]string{
		"another row's":     "UPDATE sip_credentials SET sealed = (SELECT sealed FROM sip_credentials WHERE id = '" + other.ID + "') WHERE id = ?",
		"another table's":   "UPDATE sip_credentials SET sealed = (SELECT sealed FROM connections LIMIT 1) WHERE id = ?",
		"cut":               "UPDATE sip_credentials SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE id = ?",
		"empty":             "UPDATE sip_credentials SET sealed = x'' WHERE id = ?",
		"changed":           "UPDATE sip_credentials SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB) WHERE id = ?",
		"of an unknown key": "UPDATE sip_credentials SET sealed = CAST(x'01ffffffffffffffff' || substr(sealed, 10) AS BLOB) WHERE id = ?",
	} {
		w.exec(query, credential.ID)
		if err := read(); err == nil || strings.Contains(err.Error(), daSecret) {
			t.Errorf("%s: %v", name, err)
		}
		w.exec("UPDATE sip_credentials SET sealed = (SELECT sealed FROM kept) WHERE id = ?", credential.ID)
	}
	if err := read(); err != nil {
		t.Errorf("put back: %v", err)
	}
}

// TestKeyRingTrouble: one clear sentence for each, and never a new ring over secrets of an old one.
func TestKeyRingTrouble(t *testing.T) {
	for _, test := range []struct {
		name, words string
		do          func(t *testing.T, path string)
	}{
		{"it is gone", "the key ring is gone, and secrets in the database are sealed under it; restore it", func(t *testing.T, path string) { rename(t, path, path+".away") }},
		{"others may read it", "others may read or write the key ring (mode 0644)", func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"it is no ring", "is no key ring", func(t *testing.T, path string) { overwrite(t, path, "secret: 1") }},
		{"it is empty", "is no key ring", func(t *testing.T, path string) { overwrite(t, path, "") }},
		{"it is of a later version", "is a key ring of version 2", func(t *testing.T, path string) { overwrite(t, path, `{"version": 2, "keys": [{}]}`) }},
		{"a key is cut", "key 1 is damaged", func(t *testing.T, path string) {
			overwrite(t, path, `{"version": 1, "keys": [{"id": "0011223344556677", "key": "00ff"}]}`)
		}},
		{"it is another database's", "has no key", func(t *testing.T, path string) {
			overwrite(t, path, `{"version": 1, "keys": [{"id": "0011223344556677", "key": "`+strings.Repeat("ab", 32)+`"}]}`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newTenancy(t)
			w.org("acme")
			if err := w.db.Close(); err != nil {
				t.Fatal(err)
			}
			test.do(t, filepath.Join(w.dir, ringFile))
			db, err := Open(w.dir)
			if err == nil {
				db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %v, want %q", err, test.words)
			}
			if err != nil && strings.Contains(err.Error(), "abab") {
				t.Errorf("the error holds a key: %v", err)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzOpenSealed: whatever stands in a row, opening it ends in an error and never in a panic.
func FuzzOpenSealed(f *testing.F) {
	key := newRingKey()
	id, opened, err := key.open()
	if err != nil {
		f.Fatal(err)
	}
	r := &ring{path: filepath.Join(f.TempDir(), ringFile), keys: map[keyID]ringKey{id: opened}}
	sealed, err := r.seal(id, place("connections", "1"), []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[headSize:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rest []byte) {
		head := append([]byte{sealedV1}, id[:]...)
		for _, text := range [][]byte{rest, append(head, rest...)} {
			if _, err := r.open(place("connections", "2"), text); err == nil {
				t.Errorf("%x opens", text)
			}
		}
	})
}
