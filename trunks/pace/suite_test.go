package pace_test

import (
	"testing"

	"trunkline/trunks/pace"
	"trunkline/trunks/pace/pacetest"
)

func TestSuite(t *testing.T) {
	pacetest.Test(t, func(l pace.Limit) pace.Limiter { return pace.NewKey(l) })
}
