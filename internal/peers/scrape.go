package peers

import (
	"strconv"
	"strings"
)

// Metrics is one scrape: series as the text format writes them, "name{a=\"b\"}", and their values.
type Metrics map[string]float64

func parseMetrics(text string) Metrics {
	m := Metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		if value, err := strconv.ParseFloat(line[space+1:], 64); err == nil {
			m[line[:space]] = value
		}
	}
	return m
}

// Sum adds up the series of a family that carry all these labels, each as `name="value"`; 0 when there is none.
func (m Metrics) Sum(family string, labels ...string) (sum float64) {
	for series, value := range m {
		name, rest, _ := strings.Cut(series, "{")
		if name != family {
			continue
		}
		all := true
		for _, label := range labels {
			all = all && strings.Contains(rest, label)
		}
		if all {
			sum += value
		}
	}
	return sum
}
