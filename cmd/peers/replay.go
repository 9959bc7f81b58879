package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A replay is a server that is not the limit: it looks at no request, and answers
// each with the same bytes under its stream's number. The answer is one header
// block of replayFields long values in Huffman code, which cost whoever reads them
// several times what it costs to copy them. So with two processors the client can be
// given nearly both.
const (
	replayFields = 12
	replayValue  = 1024 // characters of each
)

// startReplay starts a replay in a process of its own.
func startReplay(self string) (*server, error) {
	s := &server{command: exec.Command(self, "-replay")}
	s.command.Env = append(os.Environ(), "GOMAXPROCS=1")
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start the replay: %w", err)
	}
	if _, err := fmt.Fscanln(out, &s.address); err != nil {
		s.stop()
		return nil, fmt.Errorf("read the replay's address: %w", err)
	}
	return s, nil
}

// replay serves until it is ended, and writes its address first.
func replay(out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, listener.Addr())
	answer := cannedAnswer()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := replayTo(conn, answer); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				fmt.Fprintln(os.Stderr, "replay:", err)
			}
		}()
	}
}

// cannedAnswer returns a HEADERS frame that ends its stream, whose number is 0 yet.
func cannedAnswer() []byte {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	for i := range replayFields {
		// The letters have codes of five to seven bits.
		value := strings.Repeat("steady as she goes ", replayValue/19+1)[:replayValue]
		_ = encoder.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-log-%d", i), Value: value, Sensitive: true})
	}
	frame := make([]byte, 9, 9+block.Len())
	putLength(frame, block.Len())
	frame[3], frame[4] = byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream)
	return append(frame, block.String()...)
}

func putLength(frame []byte, n int) { frame[0], frame[1], frame[2] = byte(n>>16), byte(n>>8), byte(n) }

// replayTo answers the requests of one connection until it ends, and returns why.
func replayTo(conn net.Conn, answer []byte) error {
	out := append([]byte(nil), 0, 0, 6, byte(http2.FrameSettings), 0, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(http2.SettingMaxConcurrentStreams))
	out = binary.BigEndian.AppendUint32(out, 1000)
	in, filled := make([]byte, 64<<10), 0
	if _, err := io.ReadFull(conn, in[:len(http2.ClientPreface)]); err != nil {
		return err
	}
	for {
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		n, err := conn.Read(in[filled:])
		if err != nil {
			return err
		}
		filled += n
		at := 0
		for filled-at >= 9 {
			head := in[at : at+9]
			size := 9 + int(head[0])<<16 + int(head[1])<<8 + int(head[2])
			if size > len(in) {
				return fmt.Errorf("a frame of %d bytes", size)
			}
			if filled-at < size {
				break
			}
			out = reply(out, in[at:at+size], answer)
			at += size
		}
		filled = copy(in, in[at:filled])
	}
}

// reply appends what a frame is answered with.
func reply(out, frame, answer []byte) []byte {
	ack := frame[4]&byte(http2.FlagSettingsAck) != 0
	switch http2.FrameType(frame[3]) {
	case http2.FrameHeaders:
		at := len(out)
		out = append(out, answer...)
		copy(out[at+5:], frame[5:9])
	case http2.FrameSettings:
		if !ack {
			out = append(out, 0, 0, 0, byte(http2.FrameSettings), byte(http2.FlagSettingsAck), 0, 0, 0, 0)
		}
	case http2.FramePing:
		if !ack {
			out = append(out, frame...)
			out[len(out)-len(frame)+4] = byte(http2.FlagPingAck)
		}
	}
	return out
}
