// Package policies_test runs the tests of the policies in this folder.
package policies_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/internal/policytest"
	"github.com/roombus/roombus/room"
)

// files returns the files of policies.
func files(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestPolicies_CasesPass(t *testing.T) {
	t.Parallel()
	for _, file := range files(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Regexp(t, `^# \S`, string(text), "the file begins with a comment")
			documents, err := policyfile.Read(file, text)
			require.NoError(t, err)
			require.Len(t, documents, 1)
			d := documents[0]
			assert.Equal(t, file, d.Manifest.ID+".yaml")

			results, err := policytest.Run(d, nil)
			require.NoError(t, err)
			effective, passed := 0, 0
			for n, r := range results {
				expected, actual := r.Text()
				assert.True(t, r.OK, "%s: expected %s, got %s", r.Case, expected, actual)
				switch o := r.Actual; {
				case o.Outcome == room.Denied, len(o.Changed) > 0:
					effective++
				case o.Outcome == room.Allowed, o.Outcome == room.Skipped:
					passed++
				}
				assert.NotEmpty(t, d.Tests[n].Expect.Outcome, r.Case)
			}
			assert.Positive(t, effective, "no case is denied or changed")
			assert.Positive(t, passed, "no case passes unchanged")
			for _, i := range d.Manifest.Implements {
				assert.True(t, tested(d, i), "no case has the interface %s", i)
			}
		})
	}
}

// tested reports whether a case has the interface.
func tested(d policyfile.Document, i room.Interface) bool {
	for _, c := range d.Tests {
		if cmp.Or(c.Interface, d.Manifest.Implements[0]) == i {
			return true
		}
	}
	return false
}

// The page has an entry for each file.
func TestPolicies_PageListsFiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/policies.md")
	require.NoError(t, err)
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^- \[[\w-]+\]\(\.\./examples/policies/([^)]+\.yaml)\)`).FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, m[1])
	}
	assert.ElementsMatch(t, files(t), listed)
}
