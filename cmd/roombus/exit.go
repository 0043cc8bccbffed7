package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/audit"
	"github.com/roombus/roombus/internal/auth"
	"github.com/roombus/roombus/internal/backup"
	"github.com/roombus/roombus/internal/bench"
	"github.com/roombus/roombus/internal/dead"
	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDenied      = 3
	exitNotFound    = 4
	exitUnavailable = 5
	exitConflict    = 6
	exitInterrupted = 130
	exitPipe        = 141 // the reader of the output has gone
)

// usageError is returned when the command line is wrong.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(c *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...) + fmt.Sprintf(" (see %s --help)", c.CommandPath())}
}

// interruptedError is returned when a command was interrupted after it was sent to the room service and
// before its outcome was known.
type interruptedError struct {
	commandID string
	err       error
}

func (e *interruptedError) Error() string {
	return fmt.Sprintf("interrupted; command %s may still be done; for its outcome, send it again with --id %[1]s", e.commandID)
}

func (e *interruptedError) Unwrap() error { return e.err }

var exitOf = map[room.Code]int{
	room.CodeInvalidRequest:          exitUsage,
	room.CodeTooLarge:                exitUsage,
	room.CodePrevented:               exitDenied,
	room.CodeUserNotAllowed:          exitDenied,
	room.CodeRoomNotFound:            exitNotFound,
	room.CodeAppNotFound:             exitNotFound,
	room.CodeMemberNotFound:          exitNotFound,
	room.CodeParamNotFound:           exitNotFound,
	room.CodeRoomExists:              exitConflict,
	room.CodeConflict:                exitConflict,
	room.CodeOverloaded:              exitUnavailable,
	room.CodeEssentialAppUnavailable: exitUnavailable,
	room.CodeUnavailable:             exitUnavailable,
	room.CodeDeadlineExceeded:        exitUnavailable,
}

func exitStatus(err error) int {
	var wrong *usageError
	var settings *bus.SettingsError
	var file *policyfile.Error
	var coded *room.Error
	var traceless *audit.NotFoundError
	var noLetter *dead.NotFoundError
	var running *backup.ServicesRunError
	var exist *backup.ExistsError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong), errors.As(err, &settings), errors.As(err, &file), errors.Is(err, bus.ErrNoCluster):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errNotReady):
		return exitUnavailable // for any reason: health is a check
	case errors.Is(err, nats.ErrPermissionViolation):
		return exitFailed
	case errors.As(err, &coded) && exitOf[coded.Code] != 0:
		return exitOf[coded.Code]
	case errors.As(err, &traceless), errors.As(err, &noLetter):
		return exitNotFound
	case errors.Is(err, auth.ErrUnknownName):
		return exitNotFound
	case errors.Is(err, auth.ErrNoFolder), errors.Is(err, auth.ErrIndispensable):
		return exitUsage
	case errors.As(err, &running), errors.As(err, &exist), errors.Is(err, auth.ErrNameTaken):
		return exitConflict
	case errors.Is(err, auth.ErrNotOperated):
		return exitUnavailable
	case errors.Is(err, backup.ErrFolder), errors.Is(err, backup.ErrNoBackup):
		return exitUsage
	case errors.Is(err, backup.ErrDisconnected), errors.Is(err, backup.ErrStalled):
		return exitUnavailable
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, bus.ErrUnreachable), errors.Is(err, bench.ErrLost), errors.Is(err, bus.ErrNoJetStream), errors.Is(err, jetstream.ErrStreamNotFound), bus.NotReady(err):
		return exitUnavailable
	}
	return exitFailed
}

// inOneLine formats an error as one line, with a hint for the remedy if one is known.
func inOneLine(err error) string {
	var lines []string // one for each joined error
	for line := range strings.Lines(err.Error()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	line := plain(strings.Join(lines, "; "))
	if hint := hint(err); hint != "" {
		line += "; " + hint
	}
	return line
}

// codeOverlap is the JetStream API error for a stream whose subjects overlap with another stream's.
// The client library does not name it.
const codeOverlap = 10065

func hint(err error) string {
	var differs *bus.StreamDiffersError
	var missing *bus.StreamMissingError
	var api *jetstream.APIError
	var coded *room.Error
	var traceless *audit.NotFoundError
	var unknownCA x509.UnknownAuthorityError
	var otherHost x509.HostnameError
	var running *backup.ServicesRunError
	var exist *backup.ExistsError
	var incomplete *backup.IncompleteError
	switch {
	case errors.As(err, &running):
		return "stop them first; they would answer from a partial restore"
	case errors.As(err, &exist):
		return "remove them with nats stream rm, or give --force to remove them with all their messages"
	case errors.As(err, &incomplete):
		return "services stay unavailable until the restore is complete; run it again with --force"
	case errors.As(err, &traceless) && (traceless.Query.Room != "" || !traceless.Query.Since.IsZero()):
		return "search the whole streams, without --room and --since"
	case errors.As(err, &traceless):
		return "rejections are kept for 7 days by default, and a command that changed nothing (changed: false), was not possible or was refused as overloaded leaves no trace"
	case errors.Is(err, bench.ErrInUse):
		return "use an account that has no rooms, or name no server to use an embedded one"
	case errors.Is(err, bench.ErrLost):
		return "once the server is back, remove the streams of the benchmark: nats stream rm"
	case errors.Is(err, embedded.ErrAddressInUse):
		return "stop the other server, choose another address with --listen, or use it with --nats"
	case errors.Is(err, embedded.ErrStoreLocked):
		return "stop it, or choose another folder with --store-dir"
	case errors.Is(err, embedded.ErrOtherAccount):
		return "the streams of a serve without --auth are given to it by roombus auth migrate; those of another --auth need that folder"
	case errors.Is(err, auth.ErrNoFolder):
		return "make it with roombus auth init, or name another with --dir, for serve with --auth"
	case errors.Is(err, auth.ErrUnknownName):
		return "roombus auth ls lists the names"
	case errors.Is(err, auth.ErrNameTaken):
		return "choose another name"
	case errors.Is(err, auth.ErrIndispensable):
		return "replace its credentials with roombus auth rotate"
	case errors.Is(err, auth.ErrNoSigningKey):
		return "run the command where the folder has its keys"
	case errors.Is(err, auth.ErrNotOperated):
		return "start it with roombus serve --auth DIR, or nats-server with DIR/resolver.conf"
	case errors.Is(err, embedded.ErrStoreUnwritable):
		return "make it writable, or choose another folder with --store-dir"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "give the NATS user of this connection permission for that subject; docs/delivery.md lists the permissions of each part"
	case errors.As(err, &coded):
		return "" // the message already names the remedy
	case errors.Is(err, bus.ErrNoJetStream), errors.Is(err, nats.ErrNoResponders):
		return "start the server with -js, or enable JetStream for the account"
	case errors.As(err, &missing):
		return fmt.Sprintf("create it: roombus streams %s shows its configuration, in the format of nats stream add --config", missing.Stream)
	case errors.Is(err, bus.ErrServerTooOld):
		return "upgrade it"
	case errors.Is(err, bus.ErrUnreachable):
		return "start a server there (roombus serve has an embedded one), or give its address with --nats"
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return "start the room service with roombus serve"
	case errors.Is(err, bus.ErrNoCluster):
		return "this NATS server is in no cluster: leave --stream-replicas out, or give the address of the cluster with --nats"
	case errors.As(err, &api) && api.ErrorCode == codeOverlap:
		return "another stream takes some of its subjects, which begin with room.: find it with nats stream ls --subject 'room.>' and change or remove it"
	case errors.Is(err, nats.ErrAuthorization):
		return "authenticate with --creds, --nkey, --user and --password, or --token"
	case errors.As(err, &unknownCA):
		return "if a private authority has signed the server's certificate, name the authority's file with --tlsca"
	case errors.As(err, &otherHost):
		return "use a name or address in --nats that the server's certificate contains"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS: leave out --tlsca, --tlscert and --tlskey, and tls:// in --nats"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have that address; choose another with --listen"
	case bus.NotReady(err):
		return "JetStream has no leader, or too few nodes are up: look at /healthz of each node, or with a system account at nats server report jetstream"
	case errors.As(err, &differs):
		return mend(differs)
	}
	return ""
}

// mend says how to repair streams that differ.
func mend(differs *bus.StreamDiffersError) string {
	if differs.InMemory {
		return storageRemedy
	}
	if differs.Copies > differs.WantCopies {
		return fmt.Sprintf("to keep that number of copies, start with --stream-replicas %d", differs.Copies)
	}
	return fmt.Sprintf("repair the settings that can be changed with: roombus streams --apply --stream-replicas %d", differs.WantCopies)
}
