package account

import "fmt"

// invalid is one Problem as an error.
func invalid(field, message, fix string) error {
	return &Invalid{Problems: []Problem{{field, message, fix}}}
}

// problems gathers what is wrong.
type problems []Problem

func (p *problems) add(field, fix, format string, args ...any) {
	*p = append(*p, Problem{field, fmt.Sprintf(format, args...), fix})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &Invalid{Problems: p}
}
