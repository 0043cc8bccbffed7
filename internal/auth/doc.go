// Package auth keeps the keys, claims and credentials of a secured deployment in a folder: an operator,
// an account for the room services, one for operators, and one for each app and each client.
//
//	DIR/stores/roombus/roombus.jwt                      the operator
//	DIR/stores/roombus/accounts/APP_x/APP_x.jwt         an account: its rights
//	DIR/stores/roombus/accounts/APP_x/users/x.jwt       its user
//	DIR/keys/keys/{O,A,U}/..                            the secret keys of all of them
//	DIR/creds/x.creds                                   the credentials of x, to hand out
//	DIR/resolver.conf                                   for nats-server, made from the above
//
// The layout of stores and keys is that of nsc, so that nsc can take over. Files have the mode 0600,
// folders 0700. A server needs the files in stores and creds/rooms.creds, but no file in keys. The
// operator's own key makes new signing keys only, and can be kept elsewhere: accounts are signed with the
// signing key.
//
// Isolation comes from accounts. The account of the services exports a fixed set of subjects, and the
// account of an app imports those that contain the app's id. Only a holder of the signing key can change
// an account, so an app cannot import more. A subject that an account does not import has no
// subscribers there. The server also checks the reply subjects of requests that cross accounts, which
// the permissions of users do not do.
//
// Each change is one method. A method that fails or is interrupted can be called again, and then
// completes the change. A change reaches running servers with Push. A server with the embedded NATS
// server also reads the folder when it starts.
package auth
