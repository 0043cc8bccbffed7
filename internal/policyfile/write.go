package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/roombus/roombus/room"
)

// Write writes the manifest of a policy as YAML. It leaves out what is a default.
func Write(w io.Writer, m room.Manifest) error {
	if m.Order != nil && *m.Order == room.DefaultOrder {
		m.Order = nil
	}
	if m.IsEnabled() {
		m.Enabled = nil
	}
	data, err := room.Encode(m)
	if err != nil {
		return err
	}
	n, err := nodeOf(jsontext.NewDecoder(bytes.NewReader(data)))
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(n), e.Close()); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return nil
}

// nodeOf returns the next value as YAML, with its fields in their order. An empty list is left out of an
// object, since it is a default.
func nodeOf(d *jsontext.Decoder) (*yaml.Node, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case jsontext.KindBeginArray:
		return listOf(d)
	case jsontext.KindBeginObject:
		return mapOf(d)
	case jsontext.KindString:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: token.String()}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: token.String()}, nil
}

func listOf(d *jsontext.Decoder) (*yaml.Node, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for d.PeekKind() != jsontext.KindEndArray {
		n, err := nodeOf(d)
		if err != nil {
			return nil, err
		}
		if n.Kind != yaml.ScalarNode {
			list.Style = 0
		}
		list.Content = append(list.Content, n)
	}
	_, err := d.ReadToken()
	return list, err
}

func mapOf(d *jsontext.Decoder) (*yaml.Node, error) {
	object := &yaml.Node{Kind: yaml.MappingNode}
	for d.PeekKind() != jsontext.KindEndObject {
		key, err := nodeOf(d)
		if err != nil {
			return nil, err
		}
		value, err := nodeOf(d)
		if err != nil {
			return nil, err
		}
		if value.Kind != yaml.SequenceNode || len(value.Content) > 0 {
			object.Content = append(object.Content, key, value)
		}
	}
	_, err := d.ReadToken()
	return object, err
}
