// HTTP: JSON-RPC that costs memory, statistics, filling, and the validator's switch.
package main

// #include "native.h"
import "C"

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	requestBytesMax = 1 << 20
	holdBytesMax    = 1 << 30
	holdMax         = time.Minute
)

type call struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params []struct {
		MB int `json:"mb"` // what the call holds
		MS int `json:"ms"` // for how long
	} `json:"params"`
}

type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func answer(w http.ResponseWriter, status int, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (n *node) rpc(w http.ResponseWriter, r *http.Request) {
	atomic.AddInt64(&n.active, 1)
	defer atomic.AddInt64(&n.active, -1)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestBytesMax))
	var c call
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]interface{}{"jsonrpc": "2.0", "id": nil,
			"error": failure{-32700, err.Error()}})
		return
	}
	mb, duration := 4, 20*time.Millisecond
	if len(c.Params) > 0 {
		mb, duration = c.Params[0].MB, time.Duration(c.Params[0].MS)*time.Millisecond
	}
	reply := map[string]interface{}{"jsonrpc": "2.0", "id": c.ID}
	if mb < 0 || mb*mib > holdBytesMax || duration < 0 || duration > holdMax {
		reply["error"] = failure{-32602, "at most 1024 MB for at most 60,000 ms"}
	} else if err := n.work(c.Method, mb*mib, duration); err != nil {
		reply["error"] = failure{-32601, err.Error()}
	} else {
		reply["result"] = "0x1"
		atomic.AddInt64(&n.served, 1)
	}
	answer(w, http.StatusOK, reply)
}

// work is what a call costs: Go memory and database reads, or native memory and a Stylus module.
func (n *node) work(method string, bytes int, duration time.Duration) error {
	served := uint64(atomic.LoadInt64(&n.served))
	switch method {
	case "eth_call", "eth_getLogs":
		held := holdGo(bytes)
		if d := n.databases["l2chaindata"]; d.keys > 0 {
			if err := d.get(served % uint64(d.keys)); err != nil {
				return err
			}
		}
		n.trieDirty.add()
		time.Sleep(duration)
		held[0]++
	case "stylus_call":
		n.stylus.use(served%4096, stylusModuleBytes)
		native := C.native_hold(C.size_t(bytes))
		time.Sleep(duration)
		C.native_release(native)
	default:
		return errUnknownMethod(method)
	}
	return nil
}

type errUnknownMethod string

func (e errUnknownMethod) Error() string {
	return "no method " + string(e) + ": eth_call, eth_getLogs or stylus_call"
}

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", n.rpc)
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, n.stats())
	})
	mux.HandleFunc("/fill", func(w http.ResponseWriter, r *http.Request) {
		for _, line := range r.URL.Query()["line"] {
			if err := n.fill(line); err != nil {
				answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
		}
		answer(w, http.StatusOK, n.stats())
	})
	for path, paused := range map[string]bool{"/validator/pause": true, "/validator/resume": false} {
		paused := paused
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			n.validator.pause(paused)
			answer(w, http.StatusOK, n.validator.stats())
		})
	}
	return mux
}
