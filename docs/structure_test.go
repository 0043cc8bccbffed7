package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The limits of a type. An embedded struct counts as one field.
const (
	maxFields  = 12
	maxMethods = 20
)

// size is the number of fields and methods of a type.
type size struct {
	fields  int
	methods int
}

// larger are the types that exceed a limit for a reason. They must not grow.
var larger = map[string]size{
	// One lock guards the rooms and how far the stream has been read. Each method holds it once.
	"roomsvc/projection.Projection": {methods: 34},
	// The steps of one delivery share its lines, its lease and the pool of handlers.
	"appworker/internal/consumer.source": {fields: 14, methods: 23},
}

func TestStructure_TypesAreSmall(t *testing.T) {
	t.Parallel()
	sizes := make(map[string]size)
	for _, file := range files(t, ".go") {
		path, err := filepath.Rel(root, file)
		require.NoError(t, err)
		top, _, _ := strings.Cut(filepath.ToSlash(path), "/")
		switch top {
		case "appworker", "bus", "room", "roomsvc":
			if !strings.HasSuffix(path, "_test.go") {
				measure(t, file, filepath.ToSlash(filepath.Dir(path)), sizes)
			}
		}
	}
	for name := range larger {
		require.Contains(t, sizes, name)
	}
	for name, s := range sizes {
		limit := larger[name]
		assert.LessOrEqual(t, s.fields, max(maxFields, limit.fields), "fields of %s: split the type", name)
		assert.LessOrEqual(t, s.methods, max(maxMethods, limit.methods), "methods of %s: split the type", name)
	}
}

// measure adds the types and methods of a file to the sizes. A struct with only exported fields has
// no size: it holds data, such as a configuration or a message, and does nothing with it.
func measure(t *testing.T, file, pkg string, sizes map[string]size) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if declared, ok := spec.(*ast.TypeSpec); ok {
					name := pkg + "." + declared.Name.Name
					s := sizes[name]
					s.fields = fields(declared)
					sizes[name] = s
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil {
				name := pkg + "." + receiver(d.Recv.List[0].Type)
				s := sizes[name]
				s.methods++
				sizes[name] = s
			}
		}
	}
}

// fields counts the fields of a struct, and 0 if all of them are exported.
func fields(declared *ast.TypeSpec) (n int) {
	s, ok := declared.Type.(*ast.StructType)
	if !ok {
		return 0
	}
	data := true
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names)) // an embedded field has no name
		if len(f.Names) == 0 {
			data = data && ast.IsExported(receiver(f.Type))
		}
		for _, name := range f.Names {
			data = data && name.IsExported()
		}
	}
	if data {
		return 0
	}
	return n
}

// receiver returns the name of the type of a receiver or an embedded field.
func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.SelectorExpr:
		return of.Sel.Name
	case *ast.Ident:
		return of.Name
	}
	return ""
}
