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
	"github.com/roombus/roombus/internal/backup"
	"github.com/roombus/roombus/internal/bench"
	"github.com/roombus/roombus/internal/dead"
	"github.com/roombus/roombus/room"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDenied      = 3
	exitNotFound    = 4
	exitUnavailable = 5
	exitConflict    = 6
	exitInterrupted = 130
	exitPipe        = 141 // nobody reads the output any more
)

// usageError is returned when the command line is wrong.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(c *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...) + fmt.Sprintf(" (see %s --help)", c.CommandPath())}
}

var exitOf = map[room.Code]int{
	room.CodeInvalidRequest:          exitUsage,
	room.CodeTooLarge:                exitUsage,
	room.CodePrevented:               exitDenied,
	room.CodeUserNotAllowed:          exitDenied,
	room.CodeRoomNotFound:            exitNotFound,
	room.CodeAppNotFound:             exitNotFound,
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
	var coded *room.Error
	var traceless *audit.NotFoundError
	var noLetter *dead.NotFoundError
	var running *backup.ServicesRunError
	var exist *backup.ExistsError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong), errors.As(err, &settings), errors.Is(err, bus.ErrNoCluster):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, nats.ErrPermissionViolation):
		return exitFailed
	case errors.As(err, &coded) && exitOf[coded.Code] != 0:
		return exitOf[coded.Code]
	case errors.As(err, &traceless), errors.As(err, &noLetter):
		return exitNotFound
	case errors.As(err, &running), errors.As(err, &exist):
		return exitConflict
	case errors.Is(err, backup.ErrFolder), errors.Is(err, backup.ErrNoBackup):
		return exitUsage
	case errors.Is(err, backup.ErrDisconnected), errors.Is(err, backup.ErrStalled):
		return exitUnavailable
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, errNotReady), errors.Is(err, bus.ErrUnreachable), errors.Is(err, bench.ErrLost), errors.Is(err, bus.ErrNoJetStream), errors.Is(err, jetstream.ErrStreamNotFound), bus.NotReady(err):
		return exitUnavailable
	}
	return exitFailed
}

// inOneLine makes one line of an error, with what to do about it where that is known.
func inOneLine(err error) string {
	var lines []string // one for each of the errors that are joined
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

// codeOverlap is the error of the JetStream API, which the client library has no name for, that another
// stream takes some of the subjects.
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
		return "stop them first; they would answer with what is being restored"
	case errors.As(err, &exist):
		return "remove them with nats stream rm, or say --force to have them removed, with all that is in them"
	case errors.As(err, &incomplete):
		return "services stay unavailable until it is; run it again with --force"
	case errors.As(err, &traceless) && (traceless.Query.Room != "" || !traceless.Query.Since.IsZero()):
		return "look everywhere, without --room and --since"
	case errors.As(err, &traceless):
		return "rejections are kept for 7 days by default, and a command that changed nothing (changed: false), was not possible or was refused as overloaded leaves no trace"
	case errors.Is(err, bench.ErrInUse):
		return "use an account that has no rooms, or say no NATS at all for one inside"
	case errors.Is(err, bench.ErrLost):
		return "once the server is back, remove the streams that were made for the benchmark: nats stream rm"
	case errors.Is(err, embedded.ErrAddressInUse):
		return "stop the other server, choose another address with --listen, or use it with --nats"
	case errors.Is(err, embedded.ErrStoreLocked):
		return "stop it, or choose another folder with --store-dir"
	case errors.Is(err, embedded.ErrStoreUnwritable):
		return "make it writable, or choose another folder with --store-dir"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "give the NATS user of this connection permission for that subject; docs/delivery.md lists what each part needs"
	case errors.As(err, &coded):
		return "" // it says itself what there is to do
	case errors.Is(err, bus.ErrNoJetStream), errors.Is(err, nats.ErrNoResponders):
		return "start the server with -js, or enable JetStream for the account"
	case errors.As(err, &missing):
		return fmt.Sprintf("make it: roombus streams %s shows how it must be configured, as nats stream add --config takes it", missing.Stream)
	case errors.Is(err, bus.ErrServerTooOld):
		return "upgrade it"
	case errors.Is(err, bus.ErrUnreachable):
		return "start a server there (roombus serve has one inside), or say with --nats where it is"
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return "start the room service with roombus serve"
	case errors.Is(err, bus.ErrNoCluster):
		return "this NATS server is in no cluster: leave --replicas out, or say with --nats where the cluster is"
	case errors.As(err, &api) && api.ErrorCode == codeOverlap:
		return "another stream takes some of its subjects, which begin with room.: find it with nats stream ls --subject 'room.>' and change or remove it"
	case errors.Is(err, nats.ErrAuthorization):
		return "say who you are with --creds, --nkey, --user and --password, or --token"
	case errors.As(err, &unknownCA):
		return "if the server's certificate is of an authority of your own, name its file with --tlsca"
	case errors.As(err, &otherHost):
		return "use a name or address in --nats that the server's certificate has"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS: leave out --tlsca, --tlscert and --tlskey, and tls:// in --nats"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "it is no address of this machine; choose another with --listen"
	case bus.NotReady(err):
		return "JetStream has no leader, or too few nodes are up: look at the cluster with nats server report jetstream"
	case errors.As(err, &differs):
		return mend(differs)
	}
	return ""
}

// mend says how streams that differ are mended.
func mend(differs *bus.StreamDiffersError) string {
	if differs.InMemory {
		return storageRemedy
	}
	if differs.Copies > differs.WantCopies {
		return fmt.Sprintf("start with --replicas %d if the streams are to have so many copies", differs.Copies)
	}
	return fmt.Sprintf("mend all that can be changed with: roombus streams --apply --replicas %d", differs.WantCopies)
}
