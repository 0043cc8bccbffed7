package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// pluginGRPC calls plugins of hashicorp/go-plugin over gRPC, as Terraform, Vault and Nomad do.
type pluginGRPC struct{}

func (pluginGRPC) Name() string { return "go-plugin/grpc" }

func (p pluginGRPC) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	connections, stop, err := startPlugins[*grpc.ClientConn](ctx, p.Name(), grpcPlugin{}, plugin.ProtocolGRPC, apps)
	return inParallel(apps, func(ctx context.Context, n int, body []byte) ([]byte, error) {
		var reply wrapperspb.BytesValue
		err := connections[n].Invoke(ctx, "/"+grpcService+"/"+grpcMethod, wrapperspb.Bytes(body), &reply)
		return reply.GetValue(), err
	}), stop, err
}

func (pluginGRPC) Serve(_, _ string) error {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake(), Plugins: plugin.PluginSet{pluginKey: grpcPlugin{}},
		GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
	})
	return errors.New("this plugin was not started")
}

// The service is described by hand: its only message is a protobuf well-known type.
const (
	grpcService = "roombus.peers.App"
	grpcMethod  = "UserJoin"
)

type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (grpcPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

func (grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error { //nolint:unparam // the signature is go-plugin's
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: grpcService, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: grpcMethod, Handler: grpcUserJoin}},
	}, nil)
	return nil
}

func grpcUserJoin(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var body wrapperspb.BytesValue
	if err := decode(&body); err != nil {
		return nil, err
	}
	reply, err := decide(body.GetValue())
	return wrapperspb.Bytes(reply), err
}
