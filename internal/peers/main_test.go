//go:build !interop

package peers

import "testing"

func TestMain(m *testing.M) { Main(m) }
