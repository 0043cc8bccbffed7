package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/roombus/roombus/room"
)

// maxBytes bounds a document as JSON: aliases can make a short text very long.
const maxBytes = 8 << 20

// fromYAML returns the documents of a YAML file as JSON. It leaves out empty documents.
func fromYAML(data []byte) ([][]byte, error) {
	var all [][]byte
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		switch err := d.Decode(&document); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s; a text that begins with a quote or a sign, or has a colon and a space, needs quotes around all of it", syntax(err))
		}
		var to converter
		for _, content := range document.Content {
			if err := to.value(content, 0); err != nil {
				return nil, err
			}
		}
		if string(to.json) != "null" {
			all = append(all, to.json)
		}
	}
}

// ofParser matches an error of the library's parser, whose line is one too low. It is that of the block
// with the mistake if the block does not begin the document.
var ofParser = regexp.MustCompile(`^line (\d+): (did not find expected (?:key|node content|'-' indicator|',' or|<).*)`)

// syntax returns the library's error with the right line.
func syntax(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := ofParser.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return fmt.Sprintf("line %d, or the block that begins there: %s", line+1, m[2])
	}
	return text
}

// converter appends YAML to JSON.
type converter struct{ json []byte }

func (c *converter) value(n *yaml.Node, depth int) error {
	if depth > room.MaxNesting {
		return at(n, "it is nested deeper than %d lists and maps", room.MaxNesting)
	}
	if len(c.json) > maxBytes {
		return at(n, "with its aliases expanded, the document has more than %d bytes", maxBytes)
	}
	switch tag := n.ShortTag(); {
	case n.Kind == yaml.AliasNode:
		return c.value(n.Alias, depth+1)
	case n.Kind == yaml.ScalarNode:
		return c.scalar(n)
	case n.Kind == yaml.MappingNode && tag == "!!map":
		return c.object(n, depth)
	case n.Kind == yaml.SequenceNode && tag == "!!seq":
		return c.array(n, depth)
	default:
		return unknownTag(n)
	}
}

func (c *converter) array(n *yaml.Node, depth int) error {
	c.json = append(c.json, '[')
	for k, element := range n.Content {
		if k > 0 {
			c.json = append(c.json, ',')
		}
		if err := c.value(element, depth+1); err != nil {
			return err
		}
	}
	c.json = append(c.json, ']')
	return nil
}

func (c *converter) object(n *yaml.Node, depth int) error {
	c.json = append(c.json, '{')
	for k := 0; k+1 < len(n.Content); k += 2 {
		if k > 0 {
			c.json = append(c.json, ',')
		}
		if err := c.key(n.Content[k]); err != nil {
			return err
		}
		c.json = append(c.json, ':')
		if err := c.value(n.Content[k+1], depth+1); err != nil {
			return err
		}
	}
	c.json = append(c.json, '}')
	return nil
}

// key appends a key as text: 1 is "1".
func (c *converter) key(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch tag := n.ShortTag(); {
	case tag == "!!merge":
		return at(n, "merging with << is not supported; write the fields")
	case n.Kind != yaml.ScalarNode, tag == "!!null":
		return at(n, "a key must be text")
	}
	return c.text(n)
}

// number is a number in JSON.
var number = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$`)

func (c *converter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return c.text(n)
	case "!!null":
		c.json = append(c.json, "null"...)
		return nil
	case "!!bool":
		word := strings.ToLower(n.Value)
		if word != "true" && word != "false" {
			return at(n, "%q is no bool; write true or false", n.Value)
		}
		c.json = append(c.json, word...)
		return nil
	case "!!int", "!!float":
		if !number.MatchString(n.Value) {
			return at(n, "is %s text or a number? Put text in quotes, and write a number in decimal", n.Value)
		}
		c.json = append(c.json, n.Value...)
		return nil
	case "!!merge":
		return at(n, "<< is no value; put text in quotes")
	}
	return unknownTag(n)
}

func (c *converter) text(n *yaml.Node) (err error) {
	if c.json, err = jsontext.AppendQuote(c.json, n.Value); err != nil {
		return at(n, "the text is not valid UTF-8")
	}
	return nil
}

// unknownTag returns the error for a value such as !deny: true. An expression may begin with the sign.
func unknownTag(n *yaml.Node) error {
	return at(n, "the tag %.80s is not supported; put text that begins with ! in quotes", n.Tag)
}

func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}
