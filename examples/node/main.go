package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "node:", err)
	os.Exit(1)
}

func main() {
	path := flag.String("config", "", "a Nitro node's JSON configuration (its defaults)")
	listen := flag.String("listen", "127.0.0.1:0", "address of the JSON-RPC server")
	data := flag.String("data", "", "folder of the databases (a new one, removed at the end)")
	threads := flag.Int("threads", 150, "native threads when their line is filled")
	classic := flag.Bool("classic", false, "open a classic-msg database, too")
	validators := flag.Int("validators", 0, "validations at a time")
	validationMB := flag.Int("validation-mb", 32, "memory of one validation")
	flag.Parse()
	c, err := readConfig(*path)
	if err != nil {
		fail(err)
	}
	folder := *data
	if folder == "" {
		if folder, err = os.MkdirTemp("", "node-"); err != nil {
			fail(err)
		}
		defer os.RemoveAll(folder)
	}
	n, err := newNode(c, folder, *threads, *classic)
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fail(err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	n.validator.start(*validators, *validationMB*mib, 50*time.Millisecond)
	go func() { _ = http.Serve(listener, n.handler()) }()
	fmt.Printf("http://%s pid %d\n", listener.Addr(), os.Getpid())
	// USR1 pauses the background work, USR2 resumes it.
	for s := range signals {
		if s != syscall.SIGUSR1 && s != syscall.SIGUSR2 {
			return
		}
		n.validator.pause(s == syscall.SIGUSR1)
	}
}
