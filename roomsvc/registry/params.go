package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Params keeps the documents that policies read. It is safe for concurrent use.
type Params struct {
	registry *Registry
	most     int // bytes of all documents
}

// NewParams returns the documents of a registry.
func NewParams(r *Registry) *Params { return &Params{registry: r, most: room.MaxParamsBytes} }

// Put stores a document, and returns it without its content when it is in force at all replicas. A
// document that is stored already stays as it is, with any IfRevision, so that a request can be sent
// again. Otherwise the error is of code conflict or param_not_found if IfRevision does not hold.
func (p *Params) Put(ctx context.Context, r room.ParamPut) (room.Param, error) {
	data, err := json.Marshal(r.Document) // without white space
	if err != nil {
		return room.Param{}, fmt.Errorf("encoding the document: %w", err)
	}
	if most := min(room.MaxParamBytes, p.registry.cfg.MaxBytes()); len(data) > most {
		return room.Param{}, room.Errorf(room.CodeTooLarge, "document has %d bytes; at most %d are allowed", len(data), most)
	}
	if others := p.bytesWithout(r.Name); others+len(data) > p.most {
		return room.Param{}, room.Errorf(room.CodeTooLarge, "all documents would have %d bytes; at most %d are allowed: remove documents that no policy reads",
			others+len(data), p.most)
	}
	document, err := expression.NewDocument(data)
	if err != nil {
		return room.Param{}, err
	}
	stored, changed, err := p.registry.bucket.put(ctx, r.Name, document, func(was value) ([]byte, error) {
		switch {
		case bytes.Equal(was.data, data):
			return nil, nil
		case r.IfRevision == nil || *r.IfRevision == was.revision:
			return data, nil
		case was.revision == 0:
			return nil, noParam(r.Name)
		}
		e := room.Errorf(room.CodeConflict, "document %q has revision %d, not %d: read it again", r.Name, was.revision, *r.IfRevision)
		e.Version = was.revision
		return nil, e
	})
	if err != nil {
		return room.Param{}, err
	}
	if changed {
		p.registry.log.Info("document put", "param", r.Name, "bytes", len(data), "revision", stored.revision)
	}
	p.acknowledge(ctx, stored.revision)
	return p.param(r.Name, stored), nil
}

// bytesWithout returns the bytes of all documents but the named one.
func (p *Params) bytesWithout(name string) (size int) {
	known, _ := p.registry.entries.known()
	for key, e := range known {
		if other, ok := subjects.ParamOf(key); ok && other != name {
			size += len(e.data)
		}
	}
	return size
}

// Get returns a document as this service knows it. The error is of code param_not_found if there is
// none.
func (p *Params) Get(ctx context.Context, r room.ParamRequest) (room.Param, error) {
	if err := room.ValidateParamName("name", r.Name); err != nil {
		return room.Param{}, err
	}
	if err := p.registry.AwaitSync(ctx); err != nil {
		return room.Param{}, err
	}
	e := p.registry.entries.get(subjects.ParamKey(r.Name))
	if e.document == nil {
		return room.Param{}, noParam(r.Name)
	}
	found := p.param(r.Name, e.value)
	found.Document = e.data
	return found, nil
}

// List returns all documents, or a single one, without their contents and sorted by name.
func (p *Params) List(ctx context.Context, r room.ParamRequest) ([]room.Param, error) {
	if err := p.registry.AwaitSync(ctx); err != nil {
		return nil, err
	}
	all := []room.Param{}
	known, _ := p.registry.entries.known()
	for key, e := range known {
		if name, ok := subjects.ParamOf(key); ok && (r.Name == "" || r.Name == name) {
			all = append(all, p.param(name, e.value))
		}
	}
	if r.Name != "" && len(all) == 0 {
		return nil, noParam(r.Name)
	}
	slices.SortFunc(all, func(a, b room.Param) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Remove removes a document, also one that policies read, and returns it without its content. The
// error is of code param_not_found if there is none.
func (p *Params) Remove(ctx context.Context, r room.ParamRequest) (room.Param, error) {
	if err := room.ValidateParamName("name", r.Name); err != nil {
		return room.Param{}, err
	}
	was, revision, err := p.registry.bucket.remove(ctx, subjects.ParamKey(r.Name), noParam(r.Name), func() error { return nil })
	if err != nil {
		return room.Param{}, err
	}
	p.registry.log.Info("document removed", "param", r.Name)
	p.acknowledge(ctx, revision)
	return p.param(r.Name, was), nil
}

// acknowledge returns when the revision is in force at all replicas.
func (p *Params) acknowledge(ctx context.Context, revision uint64) {
	p.registry.record.keep(ctx)
	p.registry.cfg.Replicas.Await(ctx, revision)
}

func (p *Params) param(name string, v value) room.Param {
	readers := []string{}
	for _, m := range p.registry.List() {
		if slices.Contains(m.Params, name) {
			readers = append(readers, m.ID)
		}
	}
	slices.Sort(readers)
	return room.Param{Name: name, Revision: v.revision, Time: v.time.UTC(), Bytes: len(v.data), Readers: readers}
}

func noParam(name string) *room.Error {
	return room.Errorf(room.CodeParamNotFound, "there is no document %q", name)
}
