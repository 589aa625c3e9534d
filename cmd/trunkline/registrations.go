package main

import (
	"fmt"
	"strings"

	"trunkline/sip/register"
)

// namedAtMost is how many trunks in trouble readiness names.
const namedAtMost = 5

// registrations says how the trunks that register are doing: "up", or which are not registered and why; empty when none
// registers. A registration in trouble costs calls of its trunk only: the edge stays ready.
func registrations(k *register.Keeper) string {
	all := k.Status()
	registered, trouble := 0, []string(nil)
	for _, s := range all {
		if s.State == register.Registered {
			registered++
			continue
		}
		if len(trouble) < namedAtMost {
			trouble = append(trouble, fmt.Sprintf("%s: %s", s.Trunk, s.State))
		}
	}
	switch {
	case len(all) == 0:
		return ""
	case registered == len(all):
		return "up"
	default:
		return fmt.Sprintf("%d of %d registered (%s)", registered, len(all), strings.Join(trouble, ", "))
	}
}
