package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
)

// appEnv is set in the environment of app processes.
const appEnv = "ROOMBUS_PEERS_APP"

// lifelineFD is the descriptor of the first of exec.Cmd's ExtraFiles.
const lifelineFD = 3

func isApp() bool { return os.Getenv(appEnv) != "" }

// appMain is the main function of an app process. The arguments name the peer, the app and the
// address. The process lives as long as the process that asks. It ignores SIGINT, because a
// terminal interrupts the whole process group, and apps that end first would look like failures.
func appMain(args []string) {
	signal.Ignore(os.Interrupt)
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline")) // blocks until the parent closes its end
		os.Exit(0)
	}()
	all, err := choose(args[:1])
	if err == nil {
		err = all[0].Serve(args[1], args[2])
	}
	fmt.Fprintln(os.Stderr, "peers:", args, err)
	os.Exit(1)
}

// ready reports the address of this app to the parent process.
func ready(address string) { fmt.Println(address) }
