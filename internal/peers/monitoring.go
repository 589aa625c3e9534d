package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Query is one expression of a dashboard or of a rule.
type Query struct {
	Where string // file and panel, or file and rule
	Expr  string
}

// Dashboard is what tests look at in a Grafana dashboard.
type Dashboard struct {
	File   string  `json:"-"`
	UID    string  `json:"uid"`
	Title  string  `json:"title"`
	ID     *int    `json:"id"` // Grafana's own: must not be there
	Panels []Panel `json:"panels"`
}

// Panel of a dashboard.
type Panel struct {
	ID         int               `json:"id"`
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Datasource map[string]string `json:"datasource"`
	Targets    []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
}

// Dashboards reads those of a folder.
func Dashboards(folder string) (all []Dashboard, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		d := Dashboard{File: filepath.Base(file)}
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// Queries are the expressions of a dashboard's panels.
func (d Dashboard) Queries() (all []Query) {
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			all = append(all, Query{fmt.Sprintf("%s, %q, %s", d.File, p.Title, t.RefID), t.Expr})
		}
	}
	return all
}

// Fill puts values in place of a dashboard's variables, as Grafana does when everything is chosen.
func (q Query) Fill(interval string) string {
	return strings.NewReplacer("$__rate_interval", interval, "$trunk", ".*", "$cps_key", ".*").Replace(q.Expr)
}
