package grpc

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	google "google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
)

// TestFind: files and the server are asked once each, and the server only when it
// is needed.
func TestFind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.pb")
	if err := os.WriteFile(path, marshalled(t, descriptorSet(grpc_testing.File_grpc_testing_test_proto)), 0o600); err != nil {
		t.Fatal(err)
	}
	var conversations atomic.Int32
	address := serve(t, func(s *google.Server) { testService(s); reflection.RegisterV1(s) },
		google.ChainStreamInterceptor(func(srv any, stream google.ServerStream, _ *google.StreamServerInfo, handler google.StreamHandler) error {
			conversations.Add(1)
			return handler(srv, stream)
		}))
	server := ReflectOptions{Address: address}
	unary, empty := "grpc.testing.TestService/UnaryCall", "grpc.testing.TestService/EmptyCall"
	methods, err := Find(bounded(t), server, []Wanted{{unary, path}, {empty, path}})
	if err != nil || len(methods) != 2 || methods[1].name != empty || conversations.Load() != 0 {
		t.Fatalf("from a file: %v, %v, %d conversations; want two methods and none", methods, err, conversations.Load())
	}
	methods, err = Find(bounded(t), server, []Wanted{{unary, ""}, {unary, path}, {empty, ""}})
	if err != nil || len(methods) != 3 || methods[2].name != empty || conversations.Load() != 1 {
		t.Fatalf("of both: %v, %v, %d conversations; want three methods and one", methods, err, conversations.Load())
	}
	_, err = Find(bounded(t), server, []Wanted{{"grpc.testing.TestService/UnaryCal", path}})
	wantError(t, err, path, `did you mean "UnaryCall"?`)
	_, err = Find(bounded(t), server, []Wanted{{"grpc.testing.TestService/UnaryCal", ""}})
	wantError(t, err, `did you mean "UnaryCall"?`)
	_, err = Find(bounded(t), server, []Wanted{{unary, path + "x"}})
	wantError(t, err, path+"x")
}
