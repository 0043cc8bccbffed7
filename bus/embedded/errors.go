package embedded

import "errors"

// Errors of Start and MoveStreams.
var (
	// ErrAddressInUse is returned when another process listens on the address.
	ErrAddressInUse = errors.New("address in use")
	// ErrStoreLocked is returned when another server runs on the storage folder.
	ErrStoreLocked = errors.New("another server runs on this folder")
	// ErrStoreUnwritable is returned when the storage folder cannot be created or written.
	ErrStoreUnwritable = errors.New("cannot write to the folder")
	// ErrOtherAccount is returned when the streams in the storage folder belong to another account, so
	// that the server would start without them.
	ErrOtherAccount = errors.New("the streams in this folder belong to another account")
)
