// Package bench compares a room service with its floor: a bare program that does the same NATS work
// without
// any logic.
//
//	            client, and the NATS server if it is embedded
//	             |                                       |
//	     room.svc.join                           floor.svc.join
//	             |                                       |
//	       room service --+                       floor service --+
//	             |        | K pre-events                 |        | K requests
//	guarded publish     K workers           guarded publish     K responders
//	   ROOM_EVENTS                            FLOOR_EVENTS
//
// Every box but the first is a separate process that runs this same program (role.go). The messages
// of the
// floor are copies of the messages that the room service sent for the same command (sample.go), so
// both
// sides transfer the same number of bytes. Both sides are measured in turns, slice by slice,
// because the
// speed of a machine changes from one second to the next. The result is the ratio of neighbouring
// slices.
//
//	run.go      the cells to measure, one after the other
//	stage.go    the processes and streams of a measurement
//	measure.go  one cell: slices of both sides in turn
//	load.go     sends as many commands at once as the cell says
//	policy.go   the policies of a cell
//	script.go   generates the commands; trace.go takes them from a trace
//	report.go   the results; table.go, chart.go and html.go show them
package bench
