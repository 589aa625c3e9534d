package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFileSize bounds what Load reads of any one file.
const maxFileSize = 64 << 20

// bodyVariable holds a whole file, for containers.
const bodyVariable = "TRUNKLINE_CONFIG_BODY"

// Load reads the file at path and the environment env (as from os.Environ), and returns the configuration with
// every default filled in. Later wins: default, file, environment. TRUNKLINE_SIP__PUBLIC_ADDRESS sets
// sip.public_address, TRUNKLINE_TRUNKS__0__SERVER the first trunk's server, and TRUNKLINE_CONFIG_BODY holds a whole
// file in place of the one at path. An empty path without TRUNKLINE_CONFIG_BODY means defaults and environment only.
// Files named inside (passwords, certificates) are read and checked; relative paths start at the working directory.
//
// The error is a Mistakes with everything that is wrong, and the Config is then as far as it could be read.
func Load(path string, env []string) (Config, error) {
	l := &loader{config: Default(), origins: map[string]Origin{}, wrong: map[string]bool{}}
	vars := variables(env)
	switch body, ok := vars[bodyVariable]; {
	case ok:
		l.decodeFile(bodyVariable, []byte(body))
	case path != "":
		text, err := readFile(path)
		if err != nil {
			l.mistake(Mistake{Origin: Origin{File: path}, Problem: err.Error()})
			return l.config, l.mistakes
		}
		l.decodeFile(path, text)
	}
	l.decodeEnv(vars)
	l.readSecrets()
	l.validate()
	l.config.origins = l.origins
	if len(l.mistakes) > 0 {
		l.mistakes.sort()
		return l.config, l.mistakes
	}
	return l.config, nil
}

// Origin says where the value of a key such as "trunks[1].server" comes from; the zero Origin is a default.
func (c Config) Origin(key string) Origin { return c.origins[key] }

// readFile reads a regular file of sensible size. The error does not repeat the path.
func readFile(path string) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("file is larger than %d MiB", maxFileSize>>20)
	}
	return text, nil
}

// openRegular opens a file that has an end: reading a pipe or a device could wait for ever.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	return file, nil
}

// bare is err without the operation and path, which the message around it tells already.
func bare(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
