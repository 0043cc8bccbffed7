package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// param holds the flags that the param commands share.
type param struct {
	conn connection
	out  output
}

func newParam() *cobra.Command {
	p := &param{}
	c := &cobra.Command{Use: "param", Short: "Store and show the documents that policies read"}
	p.conn.addFlags(c)
	p.conn.addTimeout(c, 5*time.Second)
	p.out.addFlags(c)
	return group(c, p.put(),
		&cobra.Command{
			Use:   "get NAME",
			Short: "Print a document",
			Args:  exactly("NAME"),
			RunE:  p.conn.calling(p.get),
		},
		&cobra.Command{
			Use:     "ls",
			Aliases: aliases("ls"),
			Short:   "List the documents, and the policies that read them",
			Args:    none("roombus param get NAME prints one document"),
			RunE:    p.conn.calling(p.list),
		},
		p.remove())
}

// put checks the document before it is sent, so that an error has the line and the column.
func (p *param) put() *cobra.Command {
	var request room.ParamPut
	var revision uint64
	c := &cobra.Command{
		Use:   "put NAME FILE|-",
		Short: "Store a document, a JSON file or standard input",
		Long: `put stores a JSON document under a name. The rules of a policy that has the name in its params read
it as params.NAME. A document has at most 1 MiB without white space, or 64 KiB less than a message
of the NATS server. When put is done, the document is in force at every replica of the service. A
document that is stored already keeps its revision.`,
		Example: `  roombus param put bans bans.json
  echo '{"ids":["mallory"]}' | roombus param put bans -`,
		Args: exactly("NAME", "FILE|-"),
	}
	const ifRevision = "if-revision"
	c.Flags().Uint64Var(&revision, ifRevision, 0, "store it only if the stored document has this revision; 0: only if there is none")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		data, from, err := readInput(c, args[1], "the document")
		if err != nil {
			return err
		}
		if data, err = compact(data); err != nil {
			return &usageError{fmt.Sprintf("%s is not JSON: %v", from, err)}
		}
		request.Name, request.Document = args[0], data
		if c.Flags().Changed(ifRevision) {
			request.IfRevision = &revision
		}
		return request.Validate()
	}
	c.RunE = p.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
		stored, err := client.PutParam(ctx, request)
		if err != nil {
			return err
		}
		return p.out.object(w, stored, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %d bytes, revision %d, read by: %s\n", stored.Name, stored.Bytes, stored.Revision, readBy(stored))
		})
	})
	return c
}

func (p *param) get(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
	found, err := client.Param(ctx, args[0])
	if err != nil {
		return err
	}
	if p.out.json {
		return writeJSON(w, found)
	}
	document, err := jsontext.AppendFormat(nil, found.Document, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", document)
	return err
}

func (p *param) list(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
	all, err := client.Params(ctx)
	if err != nil {
		return err
	}
	if p.out.json {
		for _, d := range all {
			if err := writeJSON(w, d); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(w, "NAME\tBYTES\tREVISION\tPUT\tREAD BY")
	for _, d := range all {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", d.Name, d.Bytes, d.Revision, clock(d.Time), readBy(d))
	}
	return t.Flush()
}

// remove refuses to remove a document that a policy reads unless --force is given.
func (p *param) remove() *cobra.Command {
	var force bool
	const use = "remove NAME"
	c := &cobra.Command{
		Use: use, Aliases: aliases(use), Short: "Remove a document",
		Long: `remove removes a document. If a policy reads it, remove needs --force: the rules that read it then
fail, and a policy that is essential blocks the commands it decides.`,
		Args: exactly("NAME"),
		RunE: p.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
			if !force {
				d, err := client.Param(ctx, args[0])
				if err != nil {
					return err
				}
				if len(d.Readers) > 0 {
					return &usageError{fmt.Sprintf("document %s is read by: %s; without it their rules fail; to remove it: --force", d.Name, readBy(d))}
				}
			}
			gone, err := client.RemoveParam(ctx, args[0])
			if err != nil {
				return err
			}
			return p.out.object(w, gone, func(w io.Writer) {
				fmt.Fprintf(w, "%s is removed: %d bytes, revision %d, read by: %s\n", gone.Name, gone.Bytes, gone.Revision, readBy(gone))
			})
		}),
	}
	c.Flags().BoolVar(&force, "force", false, "remove the document even if policies read it")
	return c
}

// readBy formats the policies that read a document.
func readBy(d room.Param) string {
	if len(d.Readers) == 0 {
		return "no policy"
	}
	return strings.Join(d.Readers, ", ")
}

// compact returns a JSON document without white space. The error has the line and the column.
func compact(data []byte) ([]byte, error) {
	short, err := jsontext.AppendFormat(nil, data)
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return short, err
	}
	cause := syntax.Err
	if errors.Is(cause, io.ErrUnexpectedEOF) {
		cause = errors.New("it ends too early")
	}
	before := data[:min(int(syntax.ByteOffset), len(data))]
	line, column := bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])+1
	return nil, fmt.Errorf("line %d, column %d: %w", line, column, cause)
}
