package grpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	google "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// service answers as its requests ask, and counts what it answers.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	good, bad [17]atomic.Int64 // unary and streaming calls, by their code
	messages  atomic.Int64
	strange   atomic.Int64 // calls without the metadata or the deadline that they should have
}

func (s *service) look(ctx context.Context) {
	values, _ := metadata.FromIncomingContext(ctx)
	deadline, has := ctx.Deadline()
	left := time.Until(deadline)
	if tenant := values.Get("x-tenant"); len(tenant) != 1 || tenant[0] != "a" || !has || left > 5*time.Second {
		s.strange.Add(1)
	}
}

func ending(s *grpc_testing.EchoStatus) error {
	return status.Error(codes.Code(s.GetCode()), s.GetMessage())
}

func (s *service) UnaryCall(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	s.look(ctx)
	if values, _ := metadata.FromIncomingContext(ctx); len(values.Get("x-wait")) > 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.good[r.GetResponseStatus().GetCode()].Add(1)
	if err := ending(r.GetResponseStatus()); err != nil {
		return nil, err
	}
	s.messages.Add(1)
	if err := google.SetHeader(ctx, metadata.Pairs("x-sailplan-backend", "pod-1")); err != nil {
		return nil, err
	}
	return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, r.GetResponseSize())}}, nil
}

func (s *service) StreamingOutputCall(r *grpc_testing.StreamingOutputCallRequest, stream google.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	s.look(stream.Context())
	for _, p := range r.GetResponseParameters() {
		s.messages.Add(1)
		if err := stream.Send(&grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	s.bad[r.GetResponseStatus().GetCode()].Add(1)
	return ending(r.GetResponseStatus())
}

// serve starts a server with reflection and returns its address.
func serve(t testing.TB, s *service, options ...google.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := google.NewServer(options...)
	grpc_testing.RegisterTestServiceServer(server, s)
	reflection.RegisterV1(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// call is one kind of request, by what it asks for.
func call(name, method, message string) scenarios.Request {
	return scenarios.Request{
		Name: name, Weight: 1, Headers: map[string]string{"x-tenant": "a"},
		GRPC: &scenarios.Call{Method: "grpc.testing.TestService/" + method, Message: message},
	}
}

func plan(address string, requests ...scenarios.Request) scenarios.Plan {
	return scenarios.Plan{
		Name:        "test",
		Endpoint:    scenarios.Endpoint{Scheme: "http", Authority: address, Address: address, Protocol: scenarios.ProtocolGRPC},
		Connections: scenarios.Connections{Count: 3, StreamsPerConnection: 20, ConnectTimeout: 5 * time.Second},
		Requests:    requests, Timeout: 5 * time.Second,
	}
}

// latencies counts the latencies that a sink is told of.
type latencies struct{ count int64 }

func (l *latencies) Interval(i record.Interval) {
	for _, r := range i.ByRequest {
		l.count += r.Latency.TotalCount()
	}
}

// run sends 600 calls and checks that each of them was answered.
func run(t *testing.T, p scenarios.Plan) record.Phase {
	t.Helper()
	sink := new(latencies)
	rate, err := scenarios.ParseRate("600/s")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := loadgen.Run(t.Context(), p, scenarios.Phase{
		Name: "load", Process: scenarios.Constant, Rate: rate, Duration: time.Second, Interval: 200 * time.Millisecond, Seed: 1,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := facts.Counts; c.Answered != 600 || c.Intended != 600 || sink.count != 600 {
		t.Errorf("counts %+v, %d latencies; want 600 calls, all answered", c, sink.count)
	}
	return facts
}

// mix is a mix of calls that end well and badly.
func mix() []scenarios.Request {
	return []scenarios.Request{
		call("unary", "UnaryCall", `{"responseSize": 100}`),
		call("large", "UnaryCall", `{"responseSize": 40000}`),
		call("stream", "StreamingOutputCall", `{"responseParameters": [{"size": 0}, {"size": 5}, {"size": 20000}, {"size": 1}]}`),
		call("not found", "UnaryCall", `{"responseStatus": {"code": 5, "message": "no such product"}}`),
		call("unavailable", "UnaryCall", `{"responseStatus": {"code": 14, "message": "try later"}}`),
		call("aborted", "StreamingOutputCall", `{"responseParameters": [{"size": 1}, {"size": 1}], "responseStatus": {"code": 10}}`),
		call("no method", "UnimplementedCall", ""),
	}
}

// checkFacts compares what was measured with what the service has counted.
func checkFacts(t *testing.T, s *service, facts record.Phase) {
	t.Helper()
	want := map[string]int64{
		"grpc-not-found": s.good[codes.NotFound].Load(), "grpc-unavailable": s.good[codes.Unavailable].Load(),
		"grpc-aborted": s.bad[codes.Aborted].Load(),
	}
	c, bad := facts.Counts, int64(0)
	for _, n := range want {
		bad += n
	}
	good := s.good[codes.OK].Load() + s.bad[codes.OK].Load()
	want["grpc-unimplemented"] = c.Answered - bad - good // which the service does not see
	if !maps.Equal(facts.Errors, want) || want["grpc-unimplemented"] < 40 {
		t.Errorf("errors %v, want %v", facts.Errors, want)
	}
	if c.Bad != c.Answered-good || good < 200 {
		t.Errorf("%d of %d bad, want all but %d", c.Bad, c.Answered, good)
	}
	if got, want := c.Messages, s.messages.Load(); got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
	if facts.Statuses[200] != c.Answered {
		t.Errorf("statuses %v, want 200 alone", facts.Statuses)
	}
	if got, want := facts.Backends["pod-1"], s.good[codes.OK].Load(); got != want {
		t.Errorf("backends %v, want %d of pod-1", facts.Backends, want)
	}
	if n := s.strange.Load(); n > 0 {
		t.Errorf("%d calls without their metadata or deadline", n)
	}
}

func TestRun(t *testing.T) {
	s := new(service)
	checkFacts(t, s, run(t, plan(serve(t, s), mix()...)))
}

func TestRunOverTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil) // for its certificate
	defer https.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := new(service)
	p := plan(serve(t, s, google.Creds(credentials.NewServerTLSFromCert(&https.TLS.Certificates[0]))), mix()...)
	p.Endpoint.Scheme, p.Endpoint.TLS = "https", scenarios.TLS{CAFile: ca, ServerName: "example.com"}
	facts := run(t, p)
	checkFacts(t, s, facts)
	if facts.Connection.TLSVersion != "TLS 1.3" {
		t.Errorf("connections %+v, want TLS 1.3", facts.Connection)
	}
}

// TestRunOverMutualTLS: a server that wants a certificate gets it when it is asked for
// its descriptors, too.
func TestRunOverMutualTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"shop.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(certificate.Leaf)
	s := new(service)
	p := plan(serve(t, s, google.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}))), mix()...)
	p.Endpoint.Scheme, p.Endpoint.TLS = "https", scenarios.TLS{CAFile: certFile, ServerName: "shop.test", CertFile: certFile, KeyFile: keyFile}
	checkFacts(t, s, run(t, p))
	p.Endpoint.TLS.CertFile, p.Endpoint.TLS.KeyFile = "", ""
	session, err := loadgen.Open(t.Context(), p, loadgen.Options{})
	if err == nil {
		_ = session.Close()
	}
	// In TLS 1.3 a server refuses after the handshake: writing may meet the end of the
	// connection before reading meets the alert that says why.
	refused := func(err error) bool {
		return strings.Contains(err.Error(), "certificate required") || strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "connection reset")
	}
	if err == nil || !strings.Contains(err.Error(), "server reflection") || !refused(err) {
		t.Errorf("without a certificate: %v, want an error of server reflection that speaks of it", err)
	}
}

// TestRunWithFeed: each call has a message of its own, from a row of a file.
func TestRunWithFeed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.csv")
	rows := "size,code,text\n1,0,\n70000,0,\n1,5,\"no \"\"such\"\" product\"\n"
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	s := new(service)
	p := plan(serve(t, s),
		call("unary", "UnaryCall", `{"responseSize": ${size}, "responseStatus": {"code": ${code}, "message": "${text}"}}`),
		call("stream", "StreamingOutputCall", `{"responseParameters": [{"size": ${size}}, {"size": 1}]}`))
	p.Feed = &scenarios.Feed{File: file, Order: scenarios.FeedInTurn}
	facts := run(t, p)
	good, missing, streams := s.good[codes.OK].Load(), s.good[codes.NotFound].Load(), s.bad[codes.OK].Load()
	if good < 100 || missing < 50 || streams < 200 || good+missing+streams != 600 {
		t.Fatalf("%d good calls, %d of nothing, %d streams; want 600 by the rows", good, missing, streams)
	}
	if got := facts.Errors; !maps.Equal(got, map[string]int64{"grpc-not-found": missing}) {
		t.Errorf("errors %v, want %d not found", got, missing)
	}
	if got, want := facts.Counts.Messages, good+2*streams; got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
	if n := s.strange.Load(); n > 0 {
		t.Errorf("%d calls without their metadata or deadline", n)
	}
}

// TestRunWithDeadlines: a call that the server never answers times out here.
func TestRunWithDeadlines(t *testing.T) {
	s := new(service)
	waiting := call("waits", "UnaryCall", "")
	waiting.Headers["x-wait"] = "1"
	p := plan(serve(t, s), waiting)
	p.Timeout = 300 * time.Millisecond
	p.Connections.StreamsPerConnection = 100
	rate, err := scenarios.ParseRate("100/s")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := loadgen.Run(t.Context(), p, scenarios.Phase{
		Name: "load", Process: scenarios.Constant, Rate: rate, Duration: 500 * time.Millisecond, Seed: 1,
	}, new(latencies), loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Which of both sides notices the deadline first is a race, but one does.
	c := facts.Counts
	if got := c.TimedOut + facts.Errors["grpc-deadline-exceeded"] + facts.Errors["reset-cancel"]; c.Intended != 50 || got < 50 {
		t.Errorf("counts %+v, errors %v; want 50 that waited too long", c, facts.Errors)
	}
}

func TestRunsThatCannotBegin(t *testing.T) {
	address := serve(t, new(service))
	for name, tt := range map[string]struct {
		request scenarios.Request
		says    string
	}{
		"method":  {call("buy", "UnaryCal", ""), `did you mean "UnaryCall"?`},
		"message": {call("buy", "UnaryCall", `{"responseSise": 1}`), `request "buy": message of grpc.testing.TestService/UnaryCall: responseSise: grpc.testing.SimpleRequest has no field "responseSise": did you mean "responseSize"?`},
		"client":  {call("buy", "StreamingInputCall", ""), "streams messages from the client"},
		"no call": {scenarios.Request{Name: "buy", Weight: 1}, "grpc.method"},
	} {
		t.Run(name, func(t *testing.T) {
			session, err := loadgen.Open(t.Context(), plan(address, tt.request), loadgen.Options{})
			if err == nil {
				_ = session.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
