// Package bench measures a room service beside its floor: a bare program that does the same NATS
// work without any logic.
//
//	            client, and the NATS server unless it is elsewhere
//	             |                                       |
//	     room.svc.join                           floor.svc.join
//	             |                                       |
//	       room service --+                       floor service --+
//	             |        | K pre-events                 |        | K requests
//	guarded publish     K workers           guarded publish     K responders
//	   ROOM_EVENTS                            FLOOR_EVENTS
//
// Every box but the first is a process of its own, of this very program (role.go). The messages of
// the floor are copies of those that the room service has sent for the same command (sample.go), so
// that as many bytes go the same ways. Both sides are measured in turns, slice by slice, since a
// machine is not as fast from one second to the next; what counts is the ratio of neighbours.
//
//	run.go      the cells that are measured, one after the other
//	stage.go    the processes and streams they are measured on
//	measure.go  one cell: slices of both sides in turn
//	load.go     as many commands at once as the cell says
//	script.go   which commands those are; or those of a trace, trace.go
//	report.go   what came of it; table.go, chart.go and html.go show it
package bench
