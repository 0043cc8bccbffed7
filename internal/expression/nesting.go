package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// maxNesting bounds the nesting of lists, maps and macros. The time to check their types grows with the third
// power of the nesting: 450 bytes that are nested 40 deep take 80 ms.
const maxNesting = 20

// checkNesting reports the lists, maps and macros that are nested too deep.
func checkNesting(parsed *cel.Ast) *cel.Issues {
	a := parsed.NativeRep()
	issues := cel.NewIssuesWithSourceInfo(common.NewErrors(parsed.Source()), a.SourceInfo())
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), isNesting) {
		if nesting(e) > maxNesting {
			issues.ReportErrorAtID(e.ID(), "lists, maps and macros are nested deeper than %d", maxNesting)
		}
	}
	return issues
}

func isNesting(e ast.NavigableExpr) bool {
	switch e.Kind() {
	case ast.ListKind, ast.MapKind, ast.ComprehensionKind:
		return true
	}
	return false
}

// nesting returns the number of lists, maps and macros that the expression is in, and itself.
func nesting(e ast.NavigableExpr) int {
	count := 1
	for parent, ok := e.Parent(); ok; parent, ok = parent.Parent() {
		if isNesting(parent) {
			count++
		}
	}
	return count
}
