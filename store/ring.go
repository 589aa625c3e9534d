package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ringFile lies beside the database. Who has both reads the secrets: a backup of the one belongs elsewhere than that of the other.
const ringFile = "keyring.json"

// RingError says what is wrong with the key ring.
type RingError struct {
	Path    string
	Problem string
	Err     error // underneath; may be nil
}

func (e *RingError) Error() string {
	text := e.Path + ": " + e.Problem
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap returns what was found underneath.
func (e *RingError) Unwrap() error { return e.Err }

const (
	keyIDSize = 8
	sealedV1  = 1 // a sealed secret: 1, id of the key, nonce, ciphertext with tag
	headSize  = 1 + keyIDSize + 12
)

type keyID [keyIDSize]byte

func (k keyID) String() string { return hex.EncodeToString(k[:]) }

// ring holds the keys that secrets are sealed under. Which of them seals is written in the database, so that all processes agree; a
// key that is not known yet is looked for in the file again.
type ring struct {
	path string
	mu   sync.RWMutex
	keys map[keyID]ringKey
}

type ringKey struct {
	stored storedKey
	aead   cipher.AEAD
}

// storedKey is a key as it stands in the file.
type storedKey struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"` // 32 bytes in hex
	Created time.Time `json:"created"`
}

type storedRing struct {
	Version int         `json:"version"`
	Keys    []storedKey `json:"keys"`
}

// newRingKey makes a key of 32 random bytes.
func newRingKey() storedKey {
	var id keyID
	key := make([]byte, 32)
	rand.Read(id[:]) // never fails
	rand.Read(key)
	return storedKey{ID: id.String(), Key: hex.EncodeToString(key), Created: time.Now().UTC().Truncate(time.Second)}
}

// openRing reads the file; missing is true when there is none.
func openRing(dir string) (r *ring, missing bool, err error) {
	r = &ring{path: filepath.Join(dir, ringFile), keys: map[keyID]ringKey{}}
	err = r.load()
	if errors.Is(err, fs.ErrNotExist) {
		return r, true, nil
	}
	return r, false, err
}

func (r *ring) load() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return &RingError{r.path, "the key ring cannot be read", err}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &RingError{r.path, fmt.Sprintf("others may read or write the key ring (mode %04o); chmod 600 it, and rotate the ring if somebody did", mode), nil}
	}
	text, err := os.ReadFile(r.path)
	if err != nil {
		return &RingError{r.path, "the key ring cannot be read", err}
	}
	var stored storedRing
	if err := json.Unmarshal(text, &stored); err != nil {
		return &RingError{r.path, "is no key ring", nil} // the cause might quote a key
	}
	if stored.Version != 1 || len(stored.Keys) == 0 {
		return &RingError{r.path, fmt.Sprintf("is a key ring of version %d with %d keys; this version of trunkline reads version 1", stored.Version, len(stored.Keys)), nil}
	}
	keys := make(map[keyID]ringKey, len(stored.Keys))
	for i, s := range stored.Keys {
		id, key, err := s.open()
		if err != nil {
			return &RingError{r.path, fmt.Sprintf("key %d is damaged", i+1), nil}
		}
		keys[id] = key
	}
	r.mu.Lock()
	r.keys = keys
	r.mu.Unlock()
	return nil
}

func (s storedKey) open() (id keyID, key ringKey, err error) {
	rawID, err := hex.DecodeString(s.ID)
	if err != nil || len(rawID) != keyIDSize {
		return id, key, errors.New("id")
	}
	raw, err := hex.DecodeString(s.Key)
	if err != nil || len(raw) != 32 {
		return id, key, errors.New("key")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return id, key, err
	}
	aead, err := cipher.NewGCM(block)
	return keyID(rawID), ringKey{s, aead}, err
}

// save writes the file anew: it is either the old one or the whole new one, also after a crash.
func (r *ring) save(keys []storedKey) (err error) {
	text, err := json.MarshalIndent(storedRing{1, keys}, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(r.path), ".keyring-*") // mode 0600
	if err != nil {
		return &RingError{r.path, "the key ring cannot be written", err}
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
			err = &RingError{r.path, "the key ring cannot be written", err}
		}
	}()
	if _, err = file.Write(append(text, '\n')); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), r.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(r.path))
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// find returns a key, from the file if need be.
func (r *ring) find(id keyID) (ringKey, error) {
	r.mu.RLock()
	key, ok := r.keys[id]
	r.mu.RUnlock()
	if ok {
		return key, nil
	}
	if err := r.load(); err != nil {
		return ringKey{}, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if key, ok = r.keys[id]; !ok {
		return ringKey{}, &RingError{r.path, fmt.Sprintf("has no key %s, under which a secret is sealed; restore the ring that belongs to this database", id), nil}
	}
	return key, nil
}

// seal encrypts plain for one place.
func (r *ring) seal(id keyID, place, plain []byte) ([]byte, error) {
	key, err := r.find(id)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, headSize, headSize+len(plain)+key.aead.Overhead())
	sealed[0] = sealedV1
	copy(sealed[1:], id[:])
	nonce := sealed[1+keyIDSize : headSize]
	rand.Read(nonce) // never fails
	return key.aead.Seal(sealed, nonce, plain, place), nil
}

// open decrypts what was sealed for that place, and nothing else.
func (r *ring) open(place, sealed []byte) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != sealedV1 {
		return nil, fmt.Errorf("sealed secret of %s is damaged", place)
	}
	id := keyID(sealed[1 : 1+keyIDSize])
	key, err := r.find(id)
	if err != nil {
		return nil, err
	}
	plain, err := key.aead.Open(nil, sealed[1+keyIDSize:headSize], sealed[headSize:], place)
	if err != nil {
		return nil, fmt.Errorf("sealed secret of %s is damaged, or belongs to another row", place)
	}
	return plain, nil
}

// place names a row's secret. It is authenticated with the secret, so that a secret moved to another row does not open.
func place(table, row string) []byte { return []byte(table + "/" + row) }
