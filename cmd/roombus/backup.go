package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/backup"
	"github.com/roombus/roombus/roomsvc"
)

// backingUp holds the flags of the backup command.
type backingUp struct {
	conn              connection
	out               output
	withoutRejections bool
}

func newBackup() *cobra.Command {
	b := &backingUp{}
	c := &cobra.Command{
		Use:   "backup DIR",
		Short: "Write a backup of rooms, apps, their positions and dead letters to a folder",
		Long: `backup writes everything that cannot be derived from other data to DIR, which must be empty or not
exist: the events with the positions of the apps, the registry of apps, dead letters, replays and
rejections. Services and apps may run meanwhile. DIR/manifest.json is written last: a folder without
it is no backup.

The folders of the streams in DIR have the format of nats stream backup, and nats stream restore
can restore them.`,
		Args: exactly("DIR"),
		RunE: func(c *cobra.Command, args []string) error { return b.run(c, args[0]) },
	}
	b.conn.addFlags(c)
	b.out.addFlags(c)
	c.Flags().BoolVar(&b.withoutRejections, "without-rejections", false, "do not copy the rejections")
	return c
}

func (b *backingUp) run(c *cobra.Command, dir string) error {
	nc, err := b.conn.connect(c.Context(), nats.NoReconnect())
	if err != nil {
		return err
	}
	defer nc.Close()
	bars := &streamBars{w: c.ErrOrStderr()}
	cfg := transferConfig(c, nc, dir, bars)
	if cfg.JSDomain, err = b.conn.settings().Domain(); err != nil {
		return err
	}
	m, err := backup.Take(c.Context(), cfg, b.withoutRejections)
	bars.end()
	if err != nil {
		return err
	}
	return b.out.object(c.OutOrStdout(), m, func(w io.Writer) { showBackup(w, dir, m) })
}

func transferConfig(c *cobra.Command, nc *nats.Conn, dir string, bars *streamBars) backup.Config {
	return backup.Config{
		Conn: nc, Dir: dir, Version: roomsvc.Version, Progress: bars.show,
		Warn: func(line string) { fmt.Fprintln(c.ErrOrStderr(), "roombus: "+line) },
	}
}

// streamBars shows the progress of each stream on a terminal. Elsewhere it shows nothing.
type streamBars struct {
	w      io.Writer
	stream string
	bar    *progressbar.ProgressBar
}

func (b *streamBars) show(stream string, done, all uint64) {
	if !isTerminal(b.w) {
		return
	}
	if b.bar == nil || b.stream != stream {
		b.end()
		b.stream = stream
		b.bar = progressbar.NewOptions64(int64(max(all, 1)), progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(stream),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set64(int64(min(done, max(all, 1)))) // a progress bar may fail
}

func (b *streamBars) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
		b.bar = nil
	}
}

func showBackup(w io.Writer, dir string, m *backup.Manifest) {
	t := newTable(w, "STREAM\tMESSAGES\tLAST SEQ\tCONSUMERS\tBYTES")
	for _, s := range m.Streams {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", s.Name, s.Messages, s.LastSeq, len(s.Consumers), s.Bytes())
	}
	_ = t.Flush()
	fmt.Fprintf(w, "rooms %s, hash %s, apps %s, documents %s\n", liveOf(m.Contents), hashOf(m.Contents), countOf(m.Apps), countOf(m.Params))
	fmt.Fprintf(w, "backup written to %s\n", dir)
}

func liveOf(c backup.Contents) string {
	if c.Rooms == nil {
		return "-"
	}
	return strconv.Itoa(c.Rooms.Live)
}

func hashOf(c backup.Contents) string {
	if c.Rooms == nil {
		return "-"
	}
	return c.Rooms.Hash
}

// countOf formats the length of a list, or "-" if the backup does not have it.
func countOf(names []string) string {
	if names == nil {
		return "-"
	}
	return strconv.Itoa(len(names))
}
