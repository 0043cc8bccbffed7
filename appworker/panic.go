package appworker

import (
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// PanicError is the failure of a handler that panicked.
type PanicError struct {
	Value any
	// Place is the file and line in the handler's own code, such as main.go:19, where it panicked or
	// called the code that panicked. It is empty if it is unknown.
	Place string
	// Trace lists the calls from the panic out to the handler, each with its file and line.
	Trace []string
	Stack []byte // from runtime/debug
}

func (p *PanicError) Error() string {
	value := fmt.Sprint(p.Value)
	if len(value) > maxPanicValue {
		value = strings.ToValidUTF8(value[:maxPanicValue], "") + "…"
	}
	if p.Place == "" {
		return "panic: " + value
	}
	return "panic: " + value + " (" + p.Place + ")"
}

// recovered turns a panic of the handler into an error. It must be deferred directly.
func recovered(err *error) {
	v := recover()
	if v == nil {
		return
	}
	p := &PanicError{Value: v, Stack: debug.Stack()}
	frames := handlerFrames()
	for _, f := range frames {
		p.Trace = append(p.Trace, fmt.Sprintf("%s %s", path.Base(f.Function), placeOf(f)))
	}
	if n := slices.IndexFunc(frames, ownCode(frames)); n >= 0 {
		p.Place = placeOf(frames[n])
	}
	*err = p
}

func placeOf(f runtime.Frame) string { return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line) }

// maxPanicValue bounds the panic's value in the error text, in bytes, so that the place is not cut off.
const maxPanicValue = 300

// The bounds of a trace: a handler that panics deep in a recursion has many calls.
const (
	maxCalls = 512
	maxTrace = 32
)

// self is the import path of this package.
var self = reflect.TypeFor[App]().PkgPath()

// handlerFrames returns the calls between the panic and the handler, innermost first. The last one is the
// handler, unless there are more than maxCalls.
func handlerFrames() (all []runtime.Frame) {
	calls := make([]uintptr, maxCalls)
	frames := runtime.CallersFrames(calls[:runtime.Callers(2, calls)])
	panicked := false
	for f, more := frames.Next(); more; f, more = frames.Next() {
		switch pkg := packageOf(f); {
		case f.Function == "runtime.gopanic":
			panicked = true
		case strings.HasPrefix(f.Function, self+".(*App)."):
			return trim(all)
		case panicked && pkg != self && pkg != "runtime" && !strings.HasPrefix(pkg, "internal/runtime/"):
			all = append(all, f)
		}
	}
	return trim(all)
}

func trim(all []runtime.Frame) []runtime.Frame {
	if len(all) <= maxTrace {
		return all
	}
	return append(all[:maxTrace-1], all[len(all)-1])
}

func packageOf(f runtime.Frame) string {
	folder, name := path.Split(f.Function)
	name, _, _ = strings.Cut(name, ".")
	return folder + name
}

// ownCode returns a function that reports whether a frame is in the handler's own code, which is the
// handler's package and the main module of the program.
func ownCode(frames []runtime.Frame) func(runtime.Frame) bool {
	var module, handler string
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Path
	}
	if n := len(frames); n > 0 {
		handler = packageOf(frames[n-1])
	}
	return func(f runtime.Frame) bool {
		pkg := packageOf(f)
		return pkg == "main" || pkg == handler || module != "" && (pkg == module || strings.HasPrefix(pkg, module+"/"))
	}
}
