package scene

import "testing"

// Seen collects the arguments of a test's handlers.
type Seen[E any] struct{ Ch chan E }

// NewSeen returns an empty Seen.
func NewSeen[E any]() Seen[E] { return Seen[E]{Ch: make(chan E, 100)} }

// See adds an argument.
func (s Seen[E]) See(e E) { s.Ch <- e }

// One waits for the next argument.
func (s Seen[E]) One(t testing.TB) E {
	t.Helper()
	select {
	case e := <-s.Ch:
		return e
	case <-t.Context().Done():
		t.Fatal("the handler was not called")
	}
	panic("unreachable")
}

// None requires that no argument waits.
func (s Seen[E]) None(t testing.TB) {
	t.Helper()
	select {
	case e := <-s.Ch:
		t.Fatalf("the handler was called with %+v", e)
	default:
	}
}
