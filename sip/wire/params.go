package wire

// nextParam reads the header parameter that begins with the semicolon at b[i] (generic-param, RFC 3261 §25.1),
// with blanks allowed round ';' and '='. value is nil without '=', and keeps its quotes. next is the index
// of the ';' or ',' behind the parameter, or len(b).
func nextParam(b []byte, i int) (name, value []byte, next int, ok bool) {
	i = skipBlank(b, i+1)
	start := i
	for i < len(b) && charClass[b[i]]&tokenChar != 0 {
		i++
	}
	name = b[start:i]
	if len(name) == 0 {
		return nil, nil, i, false
	}
	i = skipBlank(b, i)
	if i < len(b) && b[i] == '=' {
		i = skipBlank(b, i+1)
		start = i
		if i < len(b) && b[i] == '"' {
			if i = quotedEnd(b, i); i < 0 {
				return name, nil, start, false
			}
		} else {
			for i < len(b) && charClass[b[i]]&valueChar != 0 {
				i++
			}
		}
		value = b[start:i:i]
		i = skipBlank(b, i)
	}
	return name, value, i, i == len(b) || b[i] == ';' || b[i] == ','
}

// findParam looks for a parameter by name, without case, in a well-formed list that begins with a semicolon.
// Quotes round the value are taken off; escapes inside are left.
func findParam(params []byte, name string) (value []byte, ok bool) {
	for i := 0; i < len(params) && params[i] == ';'; {
		n, v, next, ok := nextParam(params, i)
		if !ok {
			return nil, false
		}
		if equalFoldAny(n, name) {
			return unquote(v), true
		}
		i = next
	}
	return nil, false
}

func unquote(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}
