package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// pluginKey names the plugin that every app dispenses.
const pluginKey = "app"

// handshake is the handshake of both kinds of plugins.
func handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ROOMBUS_PEERS", MagicCookieValue: "app"}
}

// startPlugins starts the apps as children of go-plugin and returns the clients that it dispenses.
func startPlugins[T any](ctx context.Context, peer string, kind plugin.Plugin, protocol plugin.Protocol, apps int) (asks []T, stop func(), err error) {
	children, err := newProcesses(peer)
	if err != nil {
		return nil, func() {}, err
	}
	var clients []*plugin.Client
	stop = func() {
		var killing sync.WaitGroup
		for _, c := range clients {
			killing.Go(c.Kill)
		}
		killing.Wait()
		children.stop()
	}
	for n := range apps {
		if ctx.Err() != nil {
			return nil, stop, ctx.Err()
		}
		cmd, err := children.command(appName(n), "")
		if err != nil {
			return nil, stop, err
		}
		client := plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig: handshake(), Plugins: plugin.PluginSet{pluginKey: kind}, Cmd: cmd,
			AllowedProtocols: []plugin.Protocol{protocol}, Logger: hclog.NewNullLogger(),
		})
		clients = append(clients, client)
		connection, err := client.Client()
		if err != nil {
			return nil, stop, fmt.Errorf("%s: %w", appName(n), err)
		}
		dispensed, err := connection.Dispense(pluginKey)
		if err != nil {
			return nil, stop, fmt.Errorf("%s: %w", appName(n), err)
		}
		asks = append(asks, dispensed.(T))
	}
	return asks, stop, nil
}
