// Package roomclient is the Go client of the room service.
//
// Every command gets an id, and is sent again with the same id when the answer is lost, the
// service is away for a moment, or it says that trying again will help. Sent twice it is
// still done once: the second answer is that of the first. How long is tried is the
// context's deadline, or Config.Timeout if it has none.
//
// Nothing is sent while the connection is down: the call waits for it, and ends as unavailable. Each
// request carries the time at which its attempt ends as Room-Deadline, after which the service does not
// do it any more. The clocks of client and service should agree to a second: by as much as the service's
// clock is behind, a request that was delayed on its way may be done late.
//
// What the service refuses comes back as a *room.Error, found with errors.As and compared by
// code with errors.Is:
//
//	var e *room.Error
//	if errors.As(err, &e) && e.Code == room.CodeUserNotAllowed {
//		fmt.Println(e.App, "says", e.Reason)
//	}
package roomclient
