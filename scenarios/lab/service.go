package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// BackendHeader names, in every answer of the test service, the replica that
// gave it: 0, 1, …
const BackendHeader = "x-sailplan-backend"

// drainTime is how long a server that was told to end waits for its streams.
const drainTime = 2 * time.Second

// ServiceConfig is what one replica of the test service is told.
type ServiceConfig struct {
	AddressFile   string // host:port is written here once it listens
	ControlFile   string // host:port at which it takes faults; empty: it takes none
	Replica       int    // its number, from 0
	Latency       scenarios.LatencyShape
	ResponseBytes scenarios.Bytes
	Seed          uint64 // of the delays
	Threads       int    // threads running Go code at once; 0 means 1
}

// Serve runs one replica of the test service on a free port of loopback until
// ctx ends; then it says goodbye to its peers, lets their streams finish for at
// most 2 s, and returns nil.
//
// It answers every complete request the same way, after a delay drawn from the
// latency distribution. It speaks HTTP/2 in cleartext with prior knowledge.
//
// With a ControlFile it takes faults, counts what comes, and speaks HTTP/1.1 too.
func Serve(ctx context.Context, config ServiceConfig) error {
	if config.ControlFile != "" {
		s, err := newService(config)
		if err != nil {
			return err
		}
		s.control = newControl(s.start, config)
		return controlled(ctx, s, config)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("test service: %w", err)
	}
	if config.AddressFile != "" {
		if err := writeAddress(config.AddressFile, listener.Addr().String()); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	return serveListener(ctx, listener, config)
}

// writeAddress writes the file so that a reader sees all of it or none.
func writeAddress(path, address string) error {
	if err := os.WriteFile(path+".new", []byte(address), 0o600); err != nil {
		return fmt.Errorf("write address file %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write address file %s: %w", filepath.Base(path), err)
	}
	return nil
}

// service is what the connections of a test service share.
type service struct {
	config  ServiceConfig
	delay   delayDistribution
	start   time.Time
	body    []byte // one frame's worth; every DATA frame is a part of it
	counter atomic.Uint64
	control *control // nil: no faults
}

func newService(config ServiceConfig) (*service, error) {
	delay, err := newDelayDistribution(config.Latency)
	if err != nil {
		return nil, err
	}
	if config.ResponseBytes < 0 {
		return nil, fmt.Errorf("service response of %d bytes", config.ResponseBytes)
	}
	s := &service{config: config, delay: delay, start: time.Now(), body: make([]byte, maxDataFrame)}
	for i := range s.body {
		s.body[i] = 'a' + byte(i%26)
	}
	return s, nil
}

// serveListener accepts connections until ctx ends. It closes the listener.
func serveListener(ctx context.Context, listener net.Listener, config ServiceConfig) error {
	s, err := newService(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		nc, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return nil
		}
		if err != nil {
			var temporary net.Error
			if errors.As(err, &temporary) && temporary.Timeout() {
				continue
			}
			return fmt.Errorf("test service: accept: %w", errors.Join(err, listener.Close()))
		}
		open.Go(func() { s.serveConn(ctx, nc) })
	}
}
