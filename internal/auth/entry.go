package auth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/roombus/roombus/room"
)

// Kind says what an account is for.
type Kind string

// The kinds of accounts.
const (
	KindSystem    Kind = "system"    // pushes claims, monitors servers
	KindRooms     Kind = "rooms"     // the room services
	KindOperators Kind = "operators" // the CLI
	KindApp       Kind = "app"       // the workers of one app
	KindClient    Kind = "client"    // users of rooms
)

// The names that every deployment has.
const (
	System    = "sys"
	Rooms     = "rooms"
	Operators = "operators"
	Clients   = "clients"
)

const (
	appPrefix    = "APP_"
	clientPrefix = "CLIENT_"
)

// Entry is an account with its credentials. An app has the name of its id. No two entries have the
// same name.
type Entry struct {
	Name    string    `json:"name"`
	Kind    Kind      `json:"kind"`
	Key     string    `json:"key"`               // public key of the account
	May     []string  `json:"may"`               // the requests about rooms that it may send: create, join, ...
	Limits  Limits    `json:"limits,omitzero"`   // of apps and clients
	Creds   string    `json:"creds,omitempty"`   // file; empty if revoked
	Expires time.Time `json:"expires,omitzero"`  // of the credentials; zero: never
	Revoked bool      `json:"revoked,omitempty"` // it has no credentials
}

// Limits are the limits of an account, which keep it from disturbing others.
type Limits struct {
	Connections   int64 `json:"connections"`
	Subscriptions int64 `json:"subscriptions"` // of one connection
	Payload       int64 `json:"payload"`       // bytes of one message
}

// AppLimits are the limits of a new app.
func AppLimits() Limits { return Limits{Connections: 100, Subscriptions: 1000, Payload: 1 << 20} }

// ClientLimits are the limits of a new client.
func ClientLimits() Limits { return Limits{Connections: 1000, Subscriptions: 1000, Payload: 1 << 20} }

// AccountName is the name of the entry's account.
func (e Entry) AccountName() string {
	switch {
	case e.Kind == KindApp:
		return appPrefix + e.Name
	case e.Kind == KindClient && e.Name != Clients:
		return clientPrefix + e.Name
	}
	return strings.ToUpper(e.Name)
}

// named returns the name and kind of an account. ok is false if it is none of ours.
func named(account string) (e Entry, ok bool) {
	switch account {
	case "SYS":
		return Entry{Name: System, Kind: KindSystem}, true
	case "ROOMS":
		return Entry{Name: Rooms, Kind: KindRooms}, true
	case "OPERATORS":
		return Entry{Name: Operators, Kind: KindOperators}, true
	case "CLIENTS":
		return Entry{Name: Clients, Kind: KindClient}, true
	}
	if id, is := strings.CutPrefix(account, appPrefix); is && room.IsToken(id) {
		return Entry{Name: id, Kind: KindApp}, true
	}
	if name, is := strings.CutPrefix(account, clientPrefix); is && room.IsToken(name) {
		return Entry{Name: name, Kind: KindClient}, true
	}
	return Entry{}, false
}

// Entries returns what is in the folder, sorted by kind and name. It ignores accounts that another tool
// made.
func (f *Folder) Entries() ([]Entry, error) { return f.entries() }

func (f *Folder) entries() ([]Entry, error) {
	accounts, err := f.accounts()
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, claims := range accounts {
		e, ours := named(claims.Name)
		if !ours {
			continue
		}
		if e, err = f.describe(e, claims); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	sortEntries(all)
	return all, nil
}

// sortEntries puts an account before those that import from it.
func sortEntries(all []Entry) {
	order := []Kind{KindSystem, KindRooms, KindOperators, KindApp, KindClient}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), cmp.Compare(a.Name, b.Name))
	})
}

// describe fills the entry from the claims of its account and of its user.
func (f *Folder) describe(e Entry, claims *jwt.AccountClaims) (Entry, error) {
	e.Key, e.May = claims.Subject, requestsOf(claims)
	if e.Kind == KindApp || e.Kind == KindClient {
		e.Limits = Limits{Connections: claims.Limits.Conn, Subscriptions: claims.Limits.Subs, Payload: claims.Limits.Payload}
	}
	user, err := f.user(e)
	if err != nil {
		return e, err
	}
	_, all := claims.Revocations[jwt.All]
	e.Revoked = all && user == nil
	if user != nil {
		e.Creds = f.Creds(e.Name)
		if user.Expires != 0 {
			e.Expires = time.Unix(user.Expires, 0).UTC()
		}
	}
	return e, nil
}

// Entry returns the entry with the name, or ErrUnknownName.
func (f *Folder) Entry(name string) (Entry, error) {
	all, err := f.entries()
	if err != nil {
		return Entry{}, err
	}
	e, ok := find(all, name)
	if !ok {
		return e, fmt.Errorf("%q: %w", name, ErrUnknownName)
	}
	return e, nil
}

func find(all []Entry, name string) (Entry, bool) {
	if i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name }); i >= 0 {
		return all[i], true
	}
	return Entry{}, false
}
