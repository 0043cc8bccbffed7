package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Format is the version of the manifest and the folder.
const Format = 1

const manifestFile = "manifest.json"

// Manifest describes a backup.
type Manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"version"`     // of roombus
	NATS    string    `json:"nats_server"` // version of the server
	Time    time.Time `json:"time"`        // when the backup began
	Contents
}

// Contents describes the data of a backup or of a server.
type Contents struct {
	Streams []Stream `json:"streams"`
	// Apps are the ids of the registered apps. It is absent if registrations changed during the
	// copy.
	Apps []string `json:"apps,omitzero"`
	// Params are the names of the documents that policies read. It is absent like Apps, and in backups
	// of earlier versions.
	Params []string `json:"params,omitzero"`
	// Rooms is absent if events were removed during the copy.
	Rooms *Rooms `json:"rooms,omitempty"`
}

// Stream describes a stream at the time when its copy began.
type Stream struct {
	Name     string `json:"name"`
	Copies   int    `json:"copies"` // num_replicas
	Messages uint64 `json:"messages"`
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
	// Removed is the number of messages removed during the copy. The copy may have them or not.
	Removed   uint64     `json:"removed,omitempty"`
	Consumers []Consumer `json:"consumers"` // durable ones
	Files     []File     `json:"files,omitempty"`
}

// Consumer is the position of a durable consumer.
type Consumer struct {
	Name     string `json:"name"`
	AckFloor uint64 `json:"ack_floor"` // in the stream
	// AckFloorAfter is the ack floor when the stream had been copied. The ack floor of the copy is
	// between the two.
	AckFloorAfter uint64 `json:"ack_floor_after,omitempty"`
	Pending       uint64 `json:"pending"` // neither delivered nor acknowledged
}

// Rooms is the state of the rooms after the events up to LastSeq.
type Rooms struct {
	LastSeq     uint64 `json:"last_seq"`
	Live        int    `json:"live"`
	Deleted     int    `json:"deleted"`
	Quarantined uint64 `json:"quarantined"`
	Hash        string `json:"projection_hash"`
}

// File is a file in a stream's folder.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// stream returns the stream of that name.
func (c *Contents) stream(name string) (Stream, bool) {
	for _, s := range c.Streams {
		if s.Name == name {
			return s, true
		}
	}
	return Stream{}, false
}

// Bytes is the total size of the stream's files.
func (s Stream) Bytes() (n int64) {
	for _, f := range s.Files {
		n += f.Bytes
	}
	return n
}

// write replaces the manifest of the folder atomically.
func (m *Manifest) write(dir string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	partial := filepath.Join(dir, partialFolder, manifestFile)
	if err := os.WriteFile(partial, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	if err := synced(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, filepath.Join(dir, manifestFile)); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return synced(dir)
}

// ReadManifest reads the manifest of a backup. It returns ErrNoBackup if there is no usable
// manifest.
func ReadManifest(dir string) (*Manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: it has no %s, which is written last", ErrNoBackup, dir, manifestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrNoBackup, dir, err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%w in %s: %s cannot be read: %w", ErrNoBackup, dir, manifestFile, err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("%w in %s: it has format %d, this version of roombus reads %d", ErrNoBackup, dir, m.Format, Format)
	}
	return &m, nil
}

// check returns ErrNoBackup if a file is missing or differs from the file that was written.
func (m *Manifest) check(dir string) error {
	for _, s := range m.Streams {
		for _, was := range s.Files {
			is, err := fileOf(filepath.Join(dir, s.Name, was.Name))
			if err != nil {
				return fmt.Errorf("%w in %s: %w", ErrNoBackup, dir, err)
			}
			if is != was {
				return fmt.Errorf("%w in %s: %s is damaged: it is not the file that the manifest describes", ErrNoBackup, dir, filepath.Join(s.Name, was.Name))
			}
		}
	}
	return nil
}

// filesOf describes the files of a folder after syncing them to disk.
func filesOf(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := synced(path); err != nil {
			return nil, err
		}
		f, err := fileOf(path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, synced(dir)
}

func fileOf(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = f.Close() }() // the file was only read
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return File{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// synced syncs a file or a folder to disk.
func synced(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s to disk: %w", path, err)
	}
	return nil
}
