package logs

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFindings_OnlyChangesAreLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	var f Findings
	for _, c := range []struct {
		found []string
		want  string
	}{
		{nil, ""},
		{[]string{"a"}, "level=ERROR msg=broken found=a remedy=mend\n"},
		{[]string{"a"}, ""},
		{[]string{"a", "b"}, "level=ERROR msg=broken found=\"a; b\" remedy=mend\n"},
		{[]string{"b"}, "level=INFO msg=\"no longer: broken\" was=a still=b\n"},
		{[]string{"c"}, "level=ERROR msg=broken found=c remedy=mend\n"},
		{nil, "level=INFO msg=\"no longer: broken\" was=c still=\"\"\n"},
	} {
		out.Reset()
		f.Log(log, "broken", c.found, "remedy", "mend")
		assert.Equal(t, c.want, out.String(), "found %v", c.found)
	}
}
