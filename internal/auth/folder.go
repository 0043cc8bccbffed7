package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/nats-io/jwt/v2"
)

const (
	operatorName = "roombus"
	secretFile   = fs.FileMode(0o600)
	secretFolder = fs.FileMode(0o700)
)

// Folder is a folder that has an operator. Its methods may be called concurrently, also by several
// processes.
type Folder struct {
	Dir      string
	operator *jwt.OperatorClaims
}

// Open opens a folder. It returns ErrNoFolder if the folder has no operator.
func Open(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir}
	token, err := os.ReadFile(f.operatorFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoFolder)
	}
	if err != nil {
		return nil, err
	}
	if f.operator, err = jwt.DecodeOperatorClaims(string(token)); err != nil {
		return nil, fmt.Errorf("%s: %w", f.operatorFile(), err)
	}
	return f, nil
}

func (f *Folder) store(elem ...string) string {
	return filepath.Join(append([]string{f.Dir, "stores", operatorName}, elem...)...)
}

func (f *Folder) operatorFile() string { return f.store(operatorName + ".jwt") }

func (f *Folder) accountFile(account string) string {
	return f.store("accounts", account, account+".jwt")
}

func (f *Folder) userFile(account, user string) string {
	return f.store("accounts", account, "users", user+".jwt")
}

// ResolverFile is the configuration of nats-server.
func (f *Folder) ResolverFile() string { return filepath.Join(f.Dir, "resolver.conf") }

// Creds is the file with the credentials of a name. It may be absent.
func (f *Folder) Creds(name string) string {
	return filepath.Join(f.Dir, "creds", name+".creds")
}

// change runs do while no other process changes the folder.
func (f *Folder) change(do func() error) error {
	if err := os.MkdirAll(f.Dir, secretFolder); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(f.Dir, "roombus.lock"), flock.SetPermissions(secretFile))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", f.Dir, err)
	}
	defer func() { _ = lock.Unlock() }() // if it fails, the lock ends with the process
	return do()
}

// write replaces a file. After a crash the file has the old content or the new.
func write(file string, content []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, secretFolder); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return os.Rename(tmp.Name(), file)
}

// read returns the trimmed content of a file, or "" if it is absent.
func read(file string) (string, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// remove removes a file that may be absent.
func remove(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
