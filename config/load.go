package config

import "errors"

// Origin says where a value comes from.
type Origin struct {
	File string // path as given; empty when Env is set or the value is a default
	Line int    // 1-based; 0 unless File is set
	Env  string // name of the environment variable
}

// Load reads the file at path and the environment env (as from os.Environ), and returns the configuration with
// every default filled in. Later wins: default, file, environment. TRUNKLINE_SIP__PUBLIC_ADDRESS sets
// sip.public_address, TRUNKLINE_TRUNKS__0__SERVER the first trunk's server, and TRUNKLINE_CONFIG_BODY holds a whole
// file in place of the one at path. An empty path without TRUNKLINE_CONFIG_BODY means defaults and environment only.
//
// The error is a Mistakes with every mistake found, or says why the file cannot be read.
func Load(path string, env []string) (Config, error) {
	return Config{}, errors.ErrUnsupported
}

// Default returns the configuration of an empty file.
func Default() Config { return Config{} }
