// Package roomsvc is the room service: it owns rooms and their members.
//
// Three types share the work. endpoints has requests executed and makes the replies. commands
// executes the commands that change rooms. committer publishes their events. Each has what it needs
// of the components, which are the packages below this one. Service makes them, starts and stops
// them.
//
// A command flows through the files of this package in this order:
//
//	endpoints.go   the requests of the service, admission, and replies; deadline.go limits their time
//	commands.go    what a command needs of the components
//	arrival.go     decode and validate a command (decode.go), and enter its lane
//	turn.go        wait for its turn
//	  (lanes)        commands of one room, and of one user, go in order
//	retry.go       try the command until it is answered; attempts.go knows when to stop
//	handle.go      one try, in five steps:
//	  load.go        1 load     the room from the projection
//	  (rules)        2 decide   is the command possible at all?
//	  (hooks)        3 gather   pre-events out, verdicts in
//	  (rules)        4 combine  verdicts into a decision
//	  commit.go      5 commit   publish the post-event, guarded
//	confirm.go     ask the leader whether the room is unchanged, if there is nothing to commit
//	outcome.go     how a try ended
//	(peers)        hand the commands of a room over to another replica; which commands others are
//	               deciding
//
// In the background run:
//
//	(projection)      read the stream into memory, and write snapshots of the rooms
//	(janitor)         remove the histories of deleted rooms, and write dead letters of events that
//	                  reached their max deliveries; janitor.go connects it
//	(health)          whether the service can commit, and the log lines of outages
//	(registry)        registration of apps and decisions of operators; the consumers of apps
//	dependencies.go   has the streams, their events and the consumers of apps checked
//	(hooks)           which apps are asked, in which order and for how long; their breakers
//	(appstate)        the state of the apps, and the requests between replicas about apps
//	(rejections)      record rejections, on a best-effort basis
//
// Other requests:
//
//	queries.go        get, list and members from the projection, as fresh as freshness.go requires
//	stats.go          the figures of the service for operators
//
// At the start:
//
//	config.go         configures the service
//	service.go        starts and stops it
//	connection.go     what sends and receives over the connection
//	(streams)         check the server, ensure the streams, and find those that are lost
//	standby.go        answers requests while a stream is lost
//	provision.go      opens the projection and the registry on the streams
//
// # Guarantees
//
// There is no database beside the stream ROOM_EVENTS. A change is one publish that JetStream
// accepts only if the room has not changed since the decision. So no crash loses, halves or doubles
// a change. Nothing is acknowledged to a client before JetStream has acknowledged it. An answer
// that changes nothing is sent after the stream's leader has confirmed that the room is unchanged.
// Any number of services may run on one NATS.
//
// # When something fails
//
//   - If an app times out, fails or has no worker, that is recorded as its outcome and the command
//     goes on. If the app is essential, the command fails with essential_app_unavailable. The
//     breaker of an app that fails repeatedly keeps it from being asked for a while.
//   - After a commit without an acknowledgement the service looks for the event in the stream, by
//     the id of the command, before it answers.
//   - Rejections that cannot be written to ROOM_REJECTIONS are dropped and counted. No command
//     waits for a rejection or fails because of one.
//   - A snapshot that cannot be written or used is logged. Then the next start reads more of the
//     stream.
//   - A message of the stream that does not chain, or is no event, is quarantined: logged, counted
//     and not applied. The room goes on behind it.
package roomsvc
