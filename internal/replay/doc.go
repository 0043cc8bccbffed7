// Package replay sends the joins and leaves of a trace as commands to a room service.
//
// Rows are read ahead into one queue for each room. The commands of a room are sent one after the
// other, in the order of the trace. Commands of different rooms are sent concurrently, up to a limit. A
// failed command is counted, and the replay continues. The replay ends early if the service stays
// unavailable for the timeout of a command.
package replay
