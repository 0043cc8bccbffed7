// Package roomclient is the Go client of the room service.
//
//	client := roomclient.New(nc, roomclient.Config{})
//	result, err := client.Join(ctx, room.JoinRequest{RoomID: "lobby", User: room.User{ID: "bob"}}, roomclient.WithID("join-1"))
//
// Every command has an id. The client sends it again with the same id when the reply is lost, the
// service is down for a moment, or the error is temporary. The service executes a command once: a
// repeated command gets the result of the first one. The client retries until the context's
// deadline, or for Config.Timeout if there is none. It retries after the codes unavailable, overloaded
// and deadline_exceeded, and after a conflict without a version. Any other error is final, also
// essential_app_unavailable.
//
// The client sends nothing while the connection is down: the call waits for the connection, and
// fails as unavailable at its deadline. Each request carries the end of its attempt as
// Room-Deadline. The service does not execute the request after that time. The clocks of client and
// service should agree to a second: if the service's clock is behind, a delayed request may be
// executed late by that difference.
//
// Errors of the service are of type *room.Error. Use errors.As to get one, and errors.Is to compare
// its code:
//
//	var e *room.Error
//	if errors.As(err, &e) && e.Code == room.CodeUserNotAllowed {
//		fmt.Println(e.App, "says", e.Reason)
//	}
package roomclient
