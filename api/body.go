package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Limits of one request's body.
const (
	usualBody = 64 << 10 // bytes
	bulkBody  = 1 << 20  // bytes, for lists of numbers
	maxDepth  = 16       // of nested arrays and objects; ours have three
)

// readBody reads a JSON body up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *fault) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return body, nil
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &fault{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes: send less at once", tooLarge.Limit)}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil, &fault{Status: http.StatusRequestTimeout, Detail: "the body did not arrive in time"}
	}
	return nil, &fault{Status: http.StatusBadRequest, Detail: "the body could not be read to its end"}
}

// cleanBody returns body without the members its schema does not know: both families ignore them (M-07), and the decoder,
// which takes any case of a name, must not see what the validator has passed over. In /v1 a member that would silently lose
// a secret is refused instead.
func cleanBody(body []byte, schema *huma.Schema, registry huma.Registry, refuseSecrets bool) ([]byte, *fault) {
	if len(bytes.TrimSpace(body)) == 0 || schema == nil {
		return body, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := checkDepth(body); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&value); err != nil {
		return nil, notJSON(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, &fault{Status: http.StatusBadRequest, Code: "invalid", Detail: "the body has more than one JSON value"}
	}
	c := cleaner{registry: registry, refuseSecrets: refuseSecrets}
	c.clean("", value, schema)
	if len(c.lost) > 0 {
		return nil, &fault{Status: http.StatusBadRequest, Code: "unknown_secret", Fields: c.lost}
	}
	clean, err := json.Marshal(value)
	if err != nil {
		return nil, &fault{Status: http.StatusBadRequest, Code: "invalid", Detail: "the body cannot be read as JSON"}
	}
	return clean, nil
}

// checkDepth refuses bodies nested deeper than any of ours, before a decoder builds them.
func checkDepth(body []byte) *fault {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			if depth++; depth > maxDepth {
				return &fault{Status: http.StatusBadRequest, Code: "invalid", Detail: "the body is nested too deeply"}
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return nil
}

// notJSON says where a body stops being JSON, and not what stands there.
func notJSON(err error) *fault {
	detail := "the body is not JSON: it ends too early"
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		detail = fmt.Sprintf("the body is not JSON at byte %d", syntax.Offset)
	}
	return &fault{Status: http.StatusBadRequest, Code: "invalid", Detail: detail}
}

// cleaner removes unknown members.
type cleaner struct {
	registry      huma.Registry
	refuseSecrets bool
	lost          []fieldFault
}

func (c *cleaner) clean(path string, value any, schema *huma.Schema) {
	if schema.Ref != "" {
		schema = c.registry.SchemaFromRef(schema.Ref)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			at := strings.TrimPrefix(path+"."+name, ".")
			known := schema.Properties[name]
			switch {
			case known != nil:
				c.clean(at, member, known)
			case isMap(schema):
			case c.refuseSecrets && mayBeSecret(name):
				c.lost = append(c.lost, fieldFault{at, "is not known here and looks like a secret that would be lost: " + whereSecretsGo(path)})
			default:
				delete(value, name)
			}
		}
	case []any:
		if schema.Items == nil {
			return
		}
		for i := range value {
			c.clean(fmt.Sprintf("%s[%d]", path, i), value[i], schema.Items)
		}
	}
}

// isMap reports whether the members of a schema are of the client's choice.
func isMap(schema *huma.Schema) bool {
	_, ok := schema.AdditionalProperties.(*huma.Schema)
	return ok
}

func whereSecretsGo(path string) string {
	if path == "credentials" {
		return "look up the names of this provider's credentials"
	}
	return `put credentials inside "credentials"`
}

// mayBeSecret reports whether a member of that name is likely to hold a secret.
func mayBeSecret(name string) bool {
	name = strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
	for _, word := range []string{"password", "passwd", "secret", "token", "apikey", "authkey", "privatekey", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
