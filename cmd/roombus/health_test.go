package main

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statsOf returns the stats of a service on the host. Its first endpoint has the data, if there is
// any.
func statsOf(host, pid, data string) micro.Stats {
	s := micro.Stats{ServiceIdentity: micro.ServiceIdentity{ID: host + pid, Version: "0.1.0", Metadata: map[string]string{"host": host, "pid": pid, "revision": "abc"}}}
	if data != "" {
		s.Endpoints = []*micro.EndpointStats{{Data: json.RawMessage(data)}, {Data: json.RawMessage(`{}`)}}
	}
	return s
}

func TestHealth_OneReadyServiceSufficesButAllOnAHost(t *testing.T) {
	t.Parallel()
	const yes, no = `{"ready":true,"rooms":7}`, `{"ready":false,"not_ready":"the disk is full","rooms":7}`
	for name, row := range map[string]struct {
		stats []micro.Stats
		host  string
		says  string
	}{
		"no service":                   {says: "not ready: no room service answers"},
		"one of two ready":             {stats: []micro.Stats{statsOf("a", "1", no), statsOf("b", "1", yes)}},
		"none of two ready":            {stats: []micro.Stats{statsOf("a", "1", no), statsOf("b", "1", no)}, says: "not ready: 2 of 2 room services"},
		"older service":                {stats: []micro.Stats{statsOf("a", "1", `{"rooms":7}`)}, says: "not ready: 1 of 1 room services"},
		"service without endpoints":    {stats: []micro.Stats{statsOf("a", "1", "")}, says: "not ready: 1 of 1 room services"},
		"ready on the host":            {stats: []micro.Stats{statsOf("a", "1", no), statsOf("b", "1", yes)}, host: "b"},
		"one of two on the host ready": {stats: []micro.Stats{statsOf("a", "1", no), statsOf("a", "2", yes)}, host: "a", says: "not ready: 1 of 2 room services on host a"},
		"no service on the host":       {stats: []micro.Stats{statsOf("a", "1", yes)}, host: "b", says: "not ready: no room service on host b answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := ready(healthOf(row.stats, row.host), row.host)
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.says)
			assert.Equal(t, exitUnavailable, exitStatus(err))
		})
	}
}

func TestHealth_ListsTheDataOfServices(t *testing.T) {
	t.Parallel()
	all := healthOf([]micro.Stats{statsOf("b", "9", `{"ready":true,"rooms":7}`), statsOf("a", "10", `{}`), statsOf("a", "9", `{"not_ready":"lost"}`)}, "")
	lines, err := json.Marshal(all)
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"host":"a","pid":9,"version":"0.1.0","revision":"abc","id":"a9","rooms":0,"ready":false,"not_ready":"lost"},
		{"host":"a","pid":10,"version":"0.1.0","revision":"abc","id":"a10","rooms":0,"ready":false,"not_ready":"it does not say"},
		{"host":"b","pid":9,"version":"0.1.0","revision":"abc","id":"b9","rooms":7,"ready":true}]`, string(lines))
}
