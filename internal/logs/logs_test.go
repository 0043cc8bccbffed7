package logs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/logs"
)

func TestFromEnv(t *testing.T) {
	for name, want := range map[string]struct{ form, level, line string }{
		"nothing said":     {"", "", "level=INFO msg=hello app=guard\nlevel=WARN msg=careful\n"},
		"text, warn":       {"text", "warn", "level=WARN msg=careful\n"},
		"json, upper case": {"json", "ERROR", ""},
		"json":             {"json", "info", `"level":"INFO","msg":"hello","app":"guard"}` + "\n" + `"level":"WARN","msg":"careful"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(logs.FormVar, want.form)
			t.Setenv(logs.LevelVar, want.level)
			s, err := logs.FromEnv()
			require.NoError(t, err)
			var out strings.Builder
			log := s.New(&out)
			log.Debug("detail")
			log.Info("hello", "app", "guard")
			log.Warn("careful")
			said := regexp.MustCompile(`(?m)^(time=\S+ |\{"time":"[^"]+",)`).ReplaceAllString(out.String(), "")
			assert.Equal(t, want.line, said)
		})
	}
}

func TestFromEnv_ErrorNamesAllowedValues(t *testing.T) {
	t.Setenv(logs.FormVar, "xml")
	t.Setenv(logs.LevelVar, "loud")
	_, err := logs.FromEnv()
	require.EqualError(t, err, "ROOMBUS_LOG must be text or json, not \"xml\"\nROOMBUS_LOG_LEVEL must be debug, info, warn or error, not \"loud\"")
}
