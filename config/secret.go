package config

import (
	"bytes"
)

// readSecrets takes each secret that has a file from its file. Environment wins over file as everywhere: a
// TRUNKLINE_TRUNKS__0__AUTH_PASSWORD beats an auth_password_file in sipgo.yaml, and the other way round.
func (l *loader) readSecrets() {
	for i := range l.config.Trunks {
		t := &l.config.Trunks[i]
		l.readSecret(join(at("trunks", i), "auth_password"), &t.AuthPassword, &t.AuthPasswordFile)
	}
	for i := range l.config.Agents {
		a := &l.config.Agents[i]
		l.readSecret(join(at("agents", i), "auth_password"), &a.AuthPassword, &a.AuthPasswordFile)
	}
}

func (l *loader) readSecret(path string, secret *Secret, file *string) {
	filePath := path + "_file"
	if *file == "" || l.wrong[filePath] {
		return
	}
	if *secret != "" {
		fromEnv, fileFromEnv := l.origins[path].Env != "", l.origins[filePath].Env != ""
		switch {
		case fromEnv == fileFromEnv:
			l.mistake(Mistake{Origin: l.origins[filePath], Key: filePath, Problem: "is set beside " + lastKey(path), Allowed: "one of the two"})
			return
		case fromEnv:
			*file = ""
			return
		}
	}
	text, err := readFile(*file)
	if err != nil {
		l.bad(filePath, "%s: %v", quoteShort(*file), err)
		return
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		l.bad(filePath, "%s begins with an empty line", quoteShort(*file))
		return
	}
	if err := secret.UnmarshalText(line); err != nil {
		l.bad(filePath, "%s %v", quoteShort(*file), err)
	}
}
