package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Differences says, a sentence each, where a page promises something else than what was seen. Versions and dates are not looked at,
// nor are peers that are absent: those whose tests were skipped.
func (b *Book) Differences(page string, absent func(peer string) bool) []string {
	promised, seen := sections(page), sections(b.Page(Run{}))
	peers := slices.Collect(maps.Keys(promised))
	for peer := range seen {
		if _, known := promised[peer]; !known {
			peers = append(peers, peer)
		}
	}
	slices.Sort(peers)
	var differences []string
	for _, peer := range peers {
		if absent(peer) {
			continue
		}
		for _, line := range promised[peer] {
			if !slices.Contains(seen[peer], line) {
				differences = append(differences, fmt.Sprintf("%s: the page has %q, which this run did not show", peer, line))
			}
		}
		for _, line := range seen[peer] {
			if !slices.Contains(promised[peer], line) {
				differences = append(differences, fmt.Sprintf("%s: this run showed %q, which the page has not", peer, line))
			}
		}
	}
	return differences
}

// sections are the lines of each peer's part.
func sections(page string) map[string][]string {
	lines := map[string][]string{}
	peer := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, "## "); found {
			peer = name
			lines[peer] = nil
			continue
		}
		if peer != "" && line != "" {
			lines[peer] = append(lines[peer], line)
		}
	}
	return lines
}
