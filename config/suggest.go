package config

import "strings"

// unknownKey is the problem of a key nobody knows.
func unknownKey(name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return "unknown key; did you mean " + best + "?"
	}
	return "unknown key; known are " + strings.Join(known, ", ")
}

// didYouMean is the tail of a message when one of known is near, else empty.
func didYouMean(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// nearest returns the word of known with the fewest edits from word, empty when none is near: at most a third of the
// letters may differ.
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, fewest := "", max(len(word)/3, 1)+1
	for _, candidate := range known {
		if n := edits(strings.ToLower(word), candidate); n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// edits counts the letters to insert, remove, replace or swap with their neighbour to make b of a.
func edits(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			now[j] = min(last[j]+1, now[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}
