package grpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	google "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// serve starts a gRPC server and returns its address.
func serve(t testing.TB, register func(*google.Server), options ...google.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := google.NewServer(options...)
	register(server)
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

func testService(s *google.Server) {
	grpc_testing.RegisterTestServiceServer(s, grpc_testing.UnimplementedTestServiceServer{})
}

// alpha gives a server the v1alpha version of the reflection service alone, whose
// messages are the same.
func alpha(s *google.Server) {
	service := grpc_reflection_v1.ServerReflection_ServiceDesc
	service.ServiceName = "grpc.reflection.v1alpha.ServerReflection"
	s.RegisterService(&service, reflection.NewServerV1(reflection.ServerOptions{Services: s}))
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestReflect(t *testing.T) {
	const method = "grpc.testing.TestService/UnaryCall"
	versions := map[string]func(*google.Server){
		"v1":      func(s *google.Server) { reflection.RegisterV1(s) },
		"v1alpha": alpha,
	}
	for name, register := range versions {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(s *google.Server) { testService(s); register(s) })
			d, err := Reflect(bounded(t), ReflectOptions{Address: address}, []string{method, "/" + method})
			if err != nil {
				t.Fatal(err)
			}
			m, err := d.Method(method)
			if err != nil {
				t.Fatal(err)
			}
			// Its types are in a file that the service's file imports.
			if _, err := m.Encoder().Append(nil, []byte(`{"payload": {"body": "AAEC"}}`)); err != nil {
				t.Error(err)
			}
			_, err = Reflect(bounded(t), ReflectOptions{Address: address}, []string{"grpc.testing.TestServise/UnaryCall"})
			wantError(t, err, address, `no service "grpc.testing.TestServise"`, `did you mean "grpc.testing.TestService"?`)
		})
	}
}

func TestReflectOverTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil) // for its certificate
	defer https.Close()
	address := serve(t, func(s *google.Server) { testService(s); reflection.RegisterV1(s) },
		google.Creds(credentials.NewServerTLSFromCert(&https.TLS.Certificates[0])))
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	o := ReflectOptions{Address: address, Authority: "shop.test", TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
	methods := []string{"grpc.testing.TestService/UnaryCall"}
	if _, err := Reflect(bounded(t), o, methods); err != nil {
		t.Error(err)
	}
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}
	_, err := Reflect(bounded(t), o, methods)
	wantError(t, err, address, "certificate")
}

// TestReflectSendsMetadata: a server that wants a credential gets it.
func TestReflectSendsMetadata(t *testing.T) {
	check := google.ChainStreamInterceptor(func(srv any, stream google.ServerStream, _ *google.StreamServerInfo, handler google.StreamHandler) error {
		got, _ := metadata.FromIncomingContext(stream.Context())
		if authority := got.Get(":authority"); len(authority) != 1 || authority[0] != "shop.test" {
			return status.Errorf(codes.InvalidArgument, "asked for %s", authority)
		}
		if values := got.Get("authorization"); len(values) != 1 || values[0] != "Bearer x" {
			return status.Error(codes.Unauthenticated, "who are you?")
		}
		return handler(srv, stream)
	})
	address := serve(t, func(s *google.Server) { testService(s); reflection.RegisterV1(s) }, check)
	methods := []string{"grpc.testing.TestService/UnaryCall"}
	_, err := Reflect(bounded(t), ReflectOptions{
		Address: address, Authority: "shop.test", Metadata: []exchange.Field{{Name: "authorization", Value: "Bearer x"}},
	}, methods)
	if err != nil {
		t.Error(err)
	}
	_, err = Reflect(bounded(t), ReflectOptions{Address: address, Authority: "shop.test"}, methods)
	wantError(t, err, "who are you?")
}

func TestServersWithoutReflection(t *testing.T) {
	methods := []string{"grpc.testing.TestService/UnaryCall"}
	_, err := Reflect(bounded(t), ReflectOptions{Address: serve(t, testService)}, methods)
	wantError(t, err, "has no reflection", "descriptorSet")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, err = Reflect(bounded(t), ReflectOptions{Address: address}, methods)
	wantError(t, err, address, "refused")
	_, err = Reflect(bounded(t), ReflectOptions{Address: address}, []string{"UnaryCall"})
	wantError(t, err, "package.Service/Method")
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Reflect(canceled, ReflectOptions{Address: address}, methods)
	wantError(t, err, "canceled")
}

// endless is a reflection service each of whose files imports another one.
type endless struct {
	grpc_reflection_v1.UnimplementedServerReflectionServer
	same bool // it sends the same file again and again instead
}

func (e endless) ServerReflectionInfo(stream grpc_reflection_v1.ServerReflection_ServerReflectionInfoServer) error {
	for n := 0; ; n++ {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		name := string(rune('a'+n%26)) + time.Duration(n).String()
		if e.same {
			name = "same"
		}
		next := name + "x"
		if !e.same {
			next = string(rune('a'+(n+1)%26)) + time.Duration(n+1).String()
		}
		b := append([]byte{0x0a, byte(len(name))}, name...)   // FileDescriptorProto.name
		b = append(append(b, 0x1a, byte(len(next))), next...) // and .dependency
		err := stream.Send(&grpc_reflection_v1.ServerReflectionResponse{
			MessageResponse: &grpc_reflection_v1.ServerReflectionResponse_FileDescriptorResponse{
				FileDescriptorResponse: &grpc_reflection_v1.FileDescriptorResponse{FileDescriptorProto: [][]byte{b}},
			},
		})
		if err != nil {
			return err
		}
	}
}

func TestReflectIsBounded(t *testing.T) {
	methods := []string{"shop.Shop/Buy"}
	for name, tt := range map[string]struct {
		server endless
		says   string
	}{"endless imports": {endless{}, "more than 4096 files"}, "the same file": {endless{same: true}, "other files"}} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(s *google.Server) { grpc_reflection_v1.RegisterServerReflectionServer(s, tt.server) })
			_, err := Reflect(bounded(t), ReflectOptions{Address: address}, methods)
			wantError(t, err, tt.says)
		})
	}
}
