package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
)

// appEnv is set in the environment of the processes that are apps.
const appEnv = "ROOMBUS_PEERS_APP"

// lifelineFD is the first of exec.Cmd's ExtraFiles.
const lifelineFD = 3

func isApp() bool { return os.Getenv(appEnv) != "" }

// appMain is the main function of an app's process: of which peer, under which name and at which address
// the arguments say. It lives as long as the process that asks: what is interrupted at the terminal is
// the whole group of processes, and apps that were gone first would look like failures.
func appMain(args []string) {
	signal.Ignore(os.Interrupt)
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline")) // until the other end is closed
		os.Exit(0)
	}()
	all, err := choose(args[:1])
	if err == nil {
		err = all[0].Serve(args[1], args[2])
	}
	fmt.Fprintln(os.Stderr, "peers:", args, err)
	os.Exit(1)
}

// ready tells the process that has started this app where it is reached.
func ready(address string) { fmt.Println(address) }
