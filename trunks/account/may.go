package account

// may refuses a caller without the rights of need.
func (c Caller) may(need Role, doing string) error {
	if c.Role.covers(need) {
		return nil
	}
	return &Forbidden{Message: doing + " needs the role " + string(need) + "; the creator of this key is " + orNone(string(c.Role))}
}

func orNone(s string) string {
	if s == "" {
		return "no member any more"
	}
	return s
}

// covers reports whether r has the rights of o.
func (r Role) covers(o Role) bool {
	rank := map[Role]int{Member: 1, Admin: 2, Owner: 3}
	return rank[r] >= rank[o] && rank[r] > 0
}
