package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = Duration(24 * time.Hour)

// UnmarshalText reads a Go duration, or a whole number of days as "90d".
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a duration such as 500ms, 2m or 90d", s)
		}
		*d = Duration(n) * Day
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 500ms, 2m or 90d", s)
	}
	*d = Duration(v)
	return nil
}

// String prints d as a person would write it: "90d", "5m", "1m30s", "0".
func (d Duration) String() string {
	switch {
	case d == 0:
		return "0"
	case d%Day == 0:
		return strconv.FormatInt(int64(d/Day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Sizes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

// UnmarshalText reads a number of bytes with an optional unit KiB, MiB or GiB.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, unit := string(text), Bytes(1)
	for suffix, size := range map[string]Bytes{"KiB": KiB, "MiB": MiB, "GiB": GiB} {
		if number, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(number), size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/int64(unit) {
		return fmt.Errorf("%q is not a size such as 512KiB, 64MiB or 1GiB", text)
	}
	*b = Bytes(n) * unit
	return nil
}

// String prints b with the largest unit that divides it.
func (b Bytes) String() string {
	switch {
	case b == 0:
		return "0"
	case b%GiB == 0:
		return strconv.FormatInt(int64(b/GiB), 10) + "GiB"
	case b%MiB == 0:
		return strconv.FormatInt(int64(b/MiB), 10) + "MiB"
	case b%KiB == 0:
		return strconv.FormatInt(int64(b/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

const mask = "********"

// String is a mask, or empty when no secret is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString is a mask, for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue is a mask, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is a mask, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the clear text.
func (s *Secret) UnmarshalText(text []byte) error {
	if strings.ContainsAny(string(text), "\r\n\x00") {
		return errors.New("holds a line break or NUL") // never the text itself
	}
	if len(text) > 1024 {
		return errors.New("is longer than 1024 characters")
	}
	*s = Secret(text)
	return nil
}

// UnmarshalText reads "timeout", a class from "4xx" to "6xx" or a code from 400 to 699.
func (f *Failover) UnmarshalText(text []byte) error {
	word := Failover(text)
	if from, to := word.Codes(); word != FailoverTimeout && (from < 400 || to > 699) {
		return fmt.Errorf("%s is neither a code from 400 to 699 nor 4xx, 5xx, 6xx or timeout", quoteShort(string(text)))
	}
	*f = word
	return nil
}

// MarshalText is the word as it is written.
func (f Failover) MarshalText() ([]byte, error) { return []byte(f), nil }

// Codes returns the first and last status that f stands for, 0 and 0 for timeout.
func (f Failover) Codes() (from, to int) {
	if len(f) != 3 || f[0] < '1' || f[0] > '9' {
		return 0, 0
	}
	if f[1:] == "xx" {
		from = int(f[0]-'0') * 100
		return from, from + 99
	}
	n, err := strconv.Atoi(string(f))
	if err != nil {
		return 0, 0
	}
	return n, n
}
