package contract

import (
	"regexp"
	"testing"
	"time"
)

// waitLong is how long something that happens in the background may take.
const waitLong = 20 * time.Second

func equal(t *testing.T, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func match(t *testing.T, r reply, path string, want *regexp.Regexp) {
	t.Helper()
	if s := r.str(path); !want.MatchString(s) {
		t.Errorf("%s is %q, want %s", path, s, want)
	}
}

// members fails the test unless the object at path has all of them.
func members(t *testing.T, r reply, path string, names ...string) {
	t.Helper()
	if path != "" {
		path += "."
	}
	for _, name := range names {
		if !r.has(path + name) {
			t.Errorf("no %s%s in %s", path, name, r.text)
		}
	}
}

// find returns the member of a list whose text or number at path is that.
func find(r reply, path string, want any) reply {
	for _, one := range r.list("") {
		if at(one, path) == want {
			return reply{value: one}
		}
	}
	return reply{}
}
