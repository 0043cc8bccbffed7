package lanes

// Rooms returns the number of rooms with a lane.
func (ls *Lanes) Rooms() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.byRoom)
}

// HasBegun reports whether it is the ticket's turn.
func (t *Ticket) HasBegun() bool {
	t.lanes.mu.Lock()
	defer t.lanes.mu.Unlock()
	return t.state == passing || t.state == deciding
}
