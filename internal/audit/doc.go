// Package audit finds the stored records of one command: its event, and its rejections. A command
// may have
// several, because it may be sent more than once.
//
// A stream has no index by id, so the package scans the headers and then fetches the few messages
// with
// the id. A UUIDv7, as clients make them, contains the time at which the command was created. In
// that
// case only messages stored since then are scanned.
//
// The result is complete only as far as the streams are. Rejections are kept for a limited time,
// and
// writing them is best effort. A command that changed nothing, or was not possible, leaves no
// record.
package audit
