package ordering

// Len returns the number of lines.
func (l *Lines[E]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rooms)
}
