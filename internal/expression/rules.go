package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// maxPattern bounds the size of a compiled pattern. In the worst case matching takes 8 ns for each byte of
// the text and each instruction: 50 ms for 64 KiB. Usual patterns have 5 to 60 instructions and take some
// 40 ns a byte.
const maxPattern = 100 // instructions

// rules refuses two features of the language: the creation of objects, and patterns that are not known at
// compile time. Compiling a pattern takes up to a thousand times as long as matching it.
type rules struct{}

func (rules) Name() string { return "rules of conditions" }

func (rules) Validate(_ *cel.Env, _ cel.ValidatorConfig, checked *ast.AST, issues *cel.Issues) {
	root := ast.NavigateAST(checked)
	for _, object := range ast.MatchDescendants(root, ast.KindMatcher(ast.StructKind)) {
		issues.ReportErrorAtID(object.ID(), "a %s cannot be made here", object.AsStruct().TypeName())
	}
	for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher(overloads.Matches)) {
		args := call.AsCall().Args()
		checkPattern(args[len(args)-1], issues)
	}
}

func checkPattern(arg ast.Expr, issues *cel.Issues) {
	if arg.Kind() != ast.LiteralKind {
		issues.ReportErrorAtID(arg.ID(), "the pattern of matches must be a literal")
		return
	}
	pattern, _ := arg.AsLiteral().Value().(string)
	switch size, err := types.RegexProgramSize(pattern); {
	case err != nil:
		issues.ReportErrorAtID(arg.ID(), "%v", err)
	case size > maxPattern:
		issues.ReportErrorAtID(arg.ID(), "the pattern compiles to %d instructions; at most %d are allowed", size, maxPattern)
	}
}
