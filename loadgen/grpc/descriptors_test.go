package grpc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// descriptorSet returns the descriptor set of a file with all that it imports.
func descriptorSet(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorSet {
	set := new(descriptorpb.FileDescriptorSet)
	have := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if have[f.Path()] {
			return
		}
		have[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(file)
	return set
}

func marshalled(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testDescriptors returns those of grpc.testing.TestService.
func testDescriptors(t testing.TB) *Descriptors {
	t.Helper()
	d, err := ParseDescriptorSet(marshalled(t, descriptorSet(grpc_testing.File_grpc_testing_test_proto)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func testMethod(t testing.TB, name string) *Method {
	t.Helper()
	m, err := testDescriptors(t).Method(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestMethodsThatCanBeCalled(t *testing.T) {
	d := testDescriptors(t)
	for name, streaming := range map[string]bool{
		"grpc.testing.TestService/UnaryCall": false, "/grpc.testing.TestService/EmptyCall": false,
		"grpc.testing.TestService/StreamingOutputCall": true,
	} {
		m, err := d.Method(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := m.ServerStreaming(); got != streaming {
			t.Errorf("%s: server streaming %t, want %t", name, got, streaming)
		}
	}
}

func TestMethodsThatCannotBeCalled(t *testing.T) {
	d := testDescriptors(t)
	for _, tt := range []struct {
		name string
		says []string
	}{
		{"grpc.testing.TestService/UnaryCal", []string{`no method "UnaryCal"`, `did you mean "UnaryCall"?`}},
		{"grpc.testing.TestServise/UnaryCall", []string{`no service "grpc.testing.TestServise"`, `did you mean "grpc.testing.TestService"?`}},
		{"shop.Basket/Add", []string{`no service "shop.Basket"`, "there are grpc.testing."}},
		{"grpc.testing.TestService/Buy", []string{"there are EmptyCall, UnaryCall"}},
		{"grpc.testing.SimpleRequest/UnaryCall", []string{`no service "grpc.testing.SimpleRequest"`}},
		{"grpc.testing.TestService/StreamingInputCall", []string{"streams messages from the client"}},
		{"grpc.testing.TestService/FullDuplexCall", []string{"streams messages from the client"}},
		{"UnaryCall", []string{`"UnaryCall" is no method`, "package.Service/Method"}},
		{"grpc.testing.TestService/", []string{"is no method"}},
		{"a b/c", []string{"is no method"}},
		{"", []string{"is no method"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.Method(tt.name)
			wantError(t, err, tt.says...)
		})
	}
}

func TestDescriptorSetsThatAreNone(t *testing.T) {
	text := func(s string) *string { return &s }
	alone := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		{Name: text("shop.proto"), Dependency: []string{"money.proto"}},
	}}
	unresolved := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: text("shop.proto"), Service: []*descriptorpb.ServiceDescriptorProto{{
			Name:   text("Shop"),
			Method: []*descriptorpb.MethodDescriptorProto{{Name: text("Buy"), InputType: text(".Order"), OutputType: text(".Order")}},
		}},
	}}}
	for _, tt := range []struct {
		name string
		set  []byte
		says []string
	}{
		{"nothing", nil, []string{"not a descriptor set"}},
		{"text", []byte(`syntax = "proto3";`), []string{"not a descriptor set", "--descriptor_set_out"}},
		{"without its imports", marshalled(t, alone), []string{"shop.proto imports money.proto", "--include_imports"}},
		{"a type that is not there", marshalled(t, unresolved), []string{"don't fit together", "Order"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseDescriptorSet(tt.set)
			wantError(t, err, tt.says...)
		})
	}
}

// TestImportsOfProtobufItself: a set without google/protobuf/*.proto can be used.
func TestImportsOfProtobufItself(t *testing.T) {
	text := func(s string) *string { return &s }
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: text("shop.proto"), Package: text("shop"), Syntax: text("proto3"), Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: text("Shop"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: text("Open"), InputType: text(".google.protobuf.Empty"), OutputType: text(".google.protobuf.Empty")},
		}}},
	}}}
	d, err := ParseDescriptorSet(marshalled(t, set))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Method("shop.Shop/Open"); err != nil {
		t.Error(err)
	}
}

func TestReadDescriptorSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.pb")
	_, err := ReadDescriptorSet(path)
	wantError(t, err, "read a descriptor set", path)
	if err := os.WriteFile(path, marshalled(t, descriptorSet(grpc_testing.File_grpc_testing_test_proto)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDescriptorSet(path); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ReadDescriptorSet(path)
	wantError(t, err, path, "not a descriptor set")
}

// FuzzParseDescriptorSet: whatever a file holds, it is taken or refused.
func FuzzParseDescriptorSet(f *testing.F) {
	f.Add(marshalled(f, descriptorSet(emptypb.File_google_protobuf_empty_proto)))
	f.Add([]byte(`syntax = "proto3";`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDescriptorSet(b)
		if (d == nil) == (err == nil) {
			t.Errorf("descriptors %v, error %v", d, err)
		}
	})
}
