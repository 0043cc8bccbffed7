package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrFolder is returned when the folder cannot take a backup.
	ErrFolder = errors.New("cannot write a backup")
	// ErrNoBackup is returned when the folder has no complete backup, or a damaged one.
	ErrNoBackup = errors.New("cannot use the backup")
	// ErrReplaying is returned when dead letters were replayed in every attempt to copy them.
	ErrReplaying = errors.New("dead letters are being replayed; make the backup when that has ended")
	// ErrRestoring is returned when the streams belong to an incomplete restore.
	ErrRestoring = errors.New("a restore is not complete")
	// ErrStalled is returned when the server has sent nothing for a while.
	ErrStalled = errors.New("the server sends no more")
	// ErrDisconnected is returned when the connection is lost. Messages sent meanwhile are missing.
	ErrDisconnected = errors.New("the connection to NATS was lost")
)

// ServicesRunError is returned when room services run on the server that a backup is to be restored
// to.
type ServicesRunError struct{ IDs []string }

func (e *ServicesRunError) Error() string {
	return fmt.Sprintf("%d room services run: %s", len(e.IDs), strings.Join(e.IDs, ", "))
}

// ExistsError is returned when streams of the backup already exist on the server.
type ExistsError struct{ Streams []string }

func (e *ExistsError) Error() string {
	return "nothing is restored, since these streams exist: " + strings.Join(e.Streams, ", ")
}

// IncompleteError is returned when a restore ends early. Services do not start with the restored
// part.
type IncompleteError struct {
	Restored []string // completely restored streams
	Partly   string   // the stream that was being restored, if any
	Err      error
}

func (e *IncompleteError) Error() string {
	restored := "no stream is"
	if len(e.Restored) > 0 {
		restored = "restored are " + strings.Join(e.Restored, ", ")
	}
	if e.Partly != "" {
		restored += "; " + e.Partly + " may be there in part"
	}
	why := e.Err.Error()
	if errors.Is(e.Err, context.Canceled) {
		why = "interrupted"
	}
	return fmt.Sprintf("the restore is not complete (%s): %s", restored, why)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// DiffersError is returned when the restored streams do not match the manifest.
type DiffersError struct{ Differences []string }

func (e *DiffersError) Error() string {
	return "what is restored differs from the backup: " + strings.Join(e.Differences, "; ")
}

// asJetStream converts an API error to the error of the client library that the other commands
// return.
func asJetStream(err error) error {
	var e api.ApiError
	if errors.As(err, &e) {
		return &jetstream.APIError{Code: e.Code, ErrorCode: jetstream.ErrorCode(e.ErrCode), Description: e.Description}
	}
	return err
}
