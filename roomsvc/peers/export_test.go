package peers

// Avoid sends no commands to a service, as after one that it did not take.
func (p *Peers) Avoid(service string) { p.avoid(service) }

// Rooms returns the number of rooms that are remembered.
func (p *Peers) Rooms() int { return len(p.handovers.to) }
