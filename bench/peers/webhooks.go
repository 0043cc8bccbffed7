package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// webhooks POSTs the pre-event to every app in parallel, on persistent connections.
type webhooks struct{}

func (webhooks) Name() string { return "webhooks" }

func (w webhooks) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	servers, err := newProcesses(w.Name())
	if err != nil {
		return nil, func() {}, err
	}
	urls, err := servers.start(ctx, apps, "127.0.0.1:0")
	if err != nil {
		return nil, servers.stop, err
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 1024, // the default of 2 opens a connection for almost every request
		DisableCompression:  true,
	}
	client := &http.Client{Transport: transport}
	stop = func() {
		transport.CloseIdleConnections()
		servers.stop()
	}
	return inParallel(apps, func(ctx context.Context, n int, body []byte) ([]byte, error) {
		return w.post(ctx, client, urls[n], body)
	}), stop, nil
}

func (webhooks) post(ctx context.Context, client *http.Client, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	reply, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, reply)
	}
	return reply, err
}

func (webhooks) Serve(_, address string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+hook, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply, err := decide(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(reply) // fails only if the client has gone
	})
	ready("http://" + l.Addr().String() + hook)
	return (&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}).Serve(l)
}

const hook = "/userjoin"
