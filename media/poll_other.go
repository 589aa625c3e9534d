//go:build !(linux && (amd64 || arm64))

package media

import (
	"errors"
	"time"
)

// wire is empty where there is no raw engine.
type wire struct{}

const haveRaw = false

func newRawEngine(int, func() time.Duration, func(lane int), func()) (engine, error) {
	return nil, errors.New("media: there is no raw engine on this system")
}

// loosen has nothing to do: package net's sockets are never connected.
func (j *jack) loosen() {}
