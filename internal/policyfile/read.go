package policyfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
)

// FirstVersion is the version of a new policy whose document has none.
const FirstVersion = "1.0.0"

// Document is one policy of a file.
type Document struct {
	Manifest room.Manifest // valid, except that the version may be empty
	Tests    []Case
}

// Error is returned when a file cannot be used. It says where the mistake is.
type Error struct {
	File     string
	Document string // its id or number; empty: the whole file
	Message  string
}

// Wrong returns an Error with the message of err.
func Wrong(file, document string, err error) *Error {
	return &Error{File: file, Document: document, Message: message(err)}
}

func (e *Error) Error() string {
	if e.Document == "" {
		return e.File + ": " + e.Message
	}
	return e.File + ": " + e.Document + ": " + e.Message
}

// Read returns the policies of a file, at least one. They are valid, and their expressions compile. The
// error joins an *Error for each wrong document. file names the file in it.
func Read(file string, data []byte) ([]Document, error) {
	texts, err := split(data)
	if err != nil {
		return nil, Wrong(file, "", err)
	}
	if len(texts) == 0 {
		return nil, &Error{File: file, Message: "there is no policy in it"}
	}
	var all []Document
	var wrong []error
	for n, text := range texts {
		d, err := decode(text)
		if err == nil && slices.ContainsFunc(all, func(o Document) bool { return o.Manifest.ID == d.Manifest.ID }) {
			err = errors.New("the id stands there twice")
		}
		if err != nil {
			wrong = append(wrong, Wrong(file, nameOf(text, n+1), err))
			continue
		}
		all = append(all, d)
	}
	return all, errors.Join(wrong...)
}

// split returns the documents of a file as JSON.
func split(data []byte) ([][]byte, error) {
	if all, ok := values(data); ok {
		return all, nil
	}
	return fromYAML(data)
}

// values returns the values of a file that has only JSON.
func values(data []byte) (all [][]byte, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var one json.RawMessage
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return all, true
		case err != nil:
			return nil, false
		}
		all = append(all, one)
	}
}

// nameOf returns the id of the document, or its number.
func nameOf(text []byte, number int) string {
	var named struct {
		ID string `json:"id"`
	}
	if room.DecodeLenient(text, &named) == nil && room.ValidateToken("id", named.ID) == nil {
		return named.ID
	}
	return fmt.Sprintf("document %d", number)
}

func decode(text []byte) (Document, error) {
	var file struct {
		room.Manifest
		Tests []json.RawMessage `json:"tests"`
	}
	if err := room.Decode(text, &file); err != nil {
		return Document{}, err
	}
	d := Document{Manifest: file.Manifest}
	if err := complete(&d.Manifest); err != nil {
		return d, err
	}
	checked := d.Manifest
	checked.Version = cmp.Or(checked.Version, FirstVersion)
	if err := check(checked); err != nil {
		return d, err
	}
	for n, text := range file.Tests {
		var c Case
		if err := room.Decode(text, &c); err != nil {
			return d, fmt.Errorf("test %d: %s", n+1, message(err))
		}
		d.Tests = append(d.Tests, c)
	}
	return d, nil
}

// complete fills in implements.
func complete(m *room.Manifest) error {
	if !m.IsPolicy() {
		return errors.New("it has no rules; register an app with workers with roombus app register")
	}
	for i := range m.Rules {
		if !i.Known() {
			return fmt.Errorf("rules: there is no interface %.80q", string(i))
		}
	}
	if m.Implements == nil {
		m.Implements = slices.DeleteFunc(room.Interfaces(), func(i room.Interface) bool { return m.Rules[i] == nil })
	}
	return nil
}

func check(m room.Manifest) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if _, err := expression.CompileAll(m); err != nil {
		return err
	}
	_, err := policy.CompileAll(m)
	return err
}

// message returns the text of an error without a code.
func message(err error) string {
	var coded *room.Error
	if !errors.As(err, &coded) {
		return err.Error()
	}
	return strings.Replace(err.Error(), coded.Error(), coded.Message, 1)
}
