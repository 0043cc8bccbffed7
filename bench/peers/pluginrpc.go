package main

import (
	"context"
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/roombus/roombus/room"
)

// pluginRPC calls plugins of hashicorp/go-plugin over net/rpc, as Mattermost does.
type pluginRPC struct{}

func (pluginRPC) Name() string { return "go-plugin/netrpc" }

func (p pluginRPC) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	clients, stop, err := startPlugins[*rpc.Client](ctx, p.Name(), rpcPlugin{}, plugin.ProtocolNetRPC, apps)
	return func(ctx context.Context, body []byte) ([]room.Verdict, error) {
		done := make(chan *rpc.Call, len(clients))
		for _, c := range clients {
			c.Go("Plugin.UserJoin", body, new([]byte), done)
		}
		verdicts := make([]room.Verdict, 0, len(clients))
		for range clients {
			select {
			case call := <-done:
				if call.Error != nil {
					return nil, call.Error
				}
				v, err := verdict(*call.Reply.(*[]byte))
				if err != nil {
					return nil, err
				}
				verdicts = append(verdicts, v)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return verdicts, nil
	}, stop, err
}

func (pluginRPC) Serve(_, _ string) error {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake(), Plugins: plugin.PluginSet{pluginKey: rpcPlugin{}}, Logger: hclog.NewNullLogger(),
	})
	return errors.New("this plugin was not started")
}

type rpcPlugin struct{}

func (rpcPlugin) Server(*plugin.MuxBroker) (any, error) { return rpcApp{}, nil }

func (rpcPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

// rpcApp holds the methods that net/rpc serves.
type rpcApp struct{}

// UserJoin answers a pre-event.
func (rpcApp) UserJoin(body []byte, reply *[]byte) (err error) {
	*reply, err = decide(body)
	return err
}
