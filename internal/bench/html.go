package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed page.html.tmpl
var pageText string

// page parses the template of the page.
func page() (*template.Template, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"count": count,
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("reading the page's template: %w", err)
	}
	return t, nil
}

// WriteHTML writes a self-contained page with the results, the environment and plots.
func WriteHTML(w io.Writer, results []*Result) error {
	t, err := page()
	if err != nil {
		return err
	}
	data := struct {
		Environment Environment
		Time        string
		Legend      string
		Tables      []table
		Failures    []string
		Scenes      []scene
	}{Legend: legend, Tables: tables(results), Failures: failures(results)}
	if len(results) > 0 {
		data.Environment = results[0].Environment
		data.Time = data.Environment.Time.Format(time.RFC1123)
	}
	if data.Scenes, err = scenes(results); err != nil {
		return err
	}
	if err := t.Execute(w, data); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
