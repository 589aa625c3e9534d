package peers

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// programs are the peers of the lab, each with the command by which it tells its version.
var programs = map[string][]string{
	"baresip":  {"baresip", "-h"},
	"kamailio": {"kamailio", "-v"},
	"linphone": {"linphonec", "--version"},
	"sipp":     {"sipp", "-v"},
	"sipsak":   {"sipsak", "-V"},
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// Installed reports whether a peer of the lab is here.
func Installed(peer string) bool {
	command, known := programs[peer]
	if !known {
		return false
	}
	_, err := exec.LookPath(command[0])
	return err == nil
}

// Versions asks the peers of the lab that are installed for their versions; "unknown" is that of one that does not tell.
func Versions() map[string]string {
	versions := map[string]string{}
	for peer, command := range programs {
		if !Installed(peer) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, _ := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput() // several end with a status of 1 and tell it all the same
		cancel()
		if versions[peer] = versionNumber.FindString(string(out)); versions[peer] == "" {
			versions[peer] = "unknown"
		}
	}
	return versions
}

// System is what this machine runs, as /etc/os-release has it.
func System() string {
	text, err := os.ReadFile("/etc/os-release")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
				return strings.Trim(name, `"`)
			}
		}
	}
	return runtime.GOOS
}
