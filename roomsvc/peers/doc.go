// Package peers knows which of the other services has a room for now, and which commands they are
// deciding, and hands commands over to them.
//
//	peers.go      what the service uses
//	handovers.go  which service has a room
//	handover.go   sends a command to another service; reply.go is its answer
//	undecided.go  which commands other services are deciding
//
// Services that change one room at the same time lose most of their work to conflicts. When two
// conflict, [Peers.Met] gives the room to the service with the lower id for a second. The other
// hands its commands over.
//
// A service that asks slow apps about a command tells the other services. If the next command of
// the same user in the room comes to one of them and would change nothing there, it goes to the
// service that decides the first, since the room is about to change.
//
// # Guarantees
//
// None for the order or the outcome of commands: all this is for speed, and the guard decides which
// commit wins. [Peers.HandOver] says whether the other service has certainly not begun the command.
//
// # When something fails
//
//   - A service that has stopped, does not answer or is overloaded gets no commands for a minute.
//   - A service that misses a notice answers from its own state.
package peers
