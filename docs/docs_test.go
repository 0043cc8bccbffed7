// Package docs_test checks that the documentation names what exists.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = ".."

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	goFile   = regexp.MustCompile("`([a-z][\\w/]*/\\w+\\.go)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// files are the paths of all files of the project with the extension, from the root.
func files(t *testing.T, extension string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == extension {
			all = append(all, path)
		}
		return nil
	}))
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestDocs_LinksLeadToFiles(t *testing.T) {
	t.Parallel()
	for _, page := range files(t, ".md") {
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			if target := found[1]; !strings.Contains(target, "://") {
				_, err := os.Stat(filepath.Join(filepath.Dir(page), target))
				require.NoError(t, err, page)
			}
		}
	}
}

func TestDocs_TestsAndSourceFilesExist(t *testing.T) {
	t.Parallel()
	var tests []string
	for _, file := range files(t, ".go") {
		for _, found := range testFunc.FindAllStringSubmatch(read(t, file), -1) {
			tests = append(tests, found[1])
		}
	}
	require.NotEmpty(t, tests)
	for _, page := range files(t, ".md") {
		text := read(t, page)
		for _, name := range testName.FindAllString(text, -1) {
			some := func(test string) bool { return strings.HasPrefix(test, name) } // -run takes a part of a name
			assert.True(t, slices.ContainsFunc(tests, some), "%s names %s, which does not exist", page, name)
		}
		for _, found := range goFile.FindAllStringSubmatch(text, -1) {
			assert.FileExists(t, filepath.Join(root, found[1]), page)
		}
	}
}
