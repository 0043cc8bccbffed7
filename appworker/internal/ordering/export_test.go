package ordering

// Len returns the number of lines.
func (l *Lines[E]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rooms)
}

// Used returns the number of lines that hold events or know of done ones.
func (l *Lines[E]) Used() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.rooms {
		if !ln.isEmpty() {
			n++
		}
	}
	return n
}
