package ordering

import "time"

// Position is the place of an event in its line. The consumer sets the exported fields before it adds the
// event; the lines change Untried and Unordered until the event begins.
type Position struct {
	Line        string // the line in which the event waits: its room, or a line of its own
	Seq         uint64 // sequence in the stream
	Previous    uint64 // sequence of the event that must be done first; 0 if none
	Attempt     uint64 // number of deliveries, this one included
	ConsumerSeq uint64 // sequence of the delivery in the consumer; 0 on a redelivery

	Untried   uint64 // number of earlier deliveries in which the handler cannot have run
	Unordered bool   // the event began without knowing that the previous event is done

	blockedSince time.Time // first of its line since then, without a report about the previous event
}

// Order returns the position. A type that embeds a Position is an Event.
func (p *Position) Order() *Position { return p }

// Event is an event that waits in a line or is being handled.
type Event interface {
	comparable
	Order() *Position
}
