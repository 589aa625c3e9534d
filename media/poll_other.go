//go:build !(linux && (amd64 || arm64))

package media

import (
	"errors"
	"time"
)

// plug is empty where there is no raw engine.
type plug struct{}

const haveRaw = false

func newRawEngine(int, func() time.Duration) (engine, error) {
	return nil, errors.New("media: there is no raw engine on this system")
}
