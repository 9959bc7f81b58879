package grpc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	// The files of protobuf itself that are imported most, for sets without them.
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// Descriptors know services, their methods, and the types of their messages. They
// are not changed after they were made, so any goroutine may use them.
type Descriptors struct {
	files *protoregistry.Files
	types *dynamicpb.Types
}

// ReadDescriptorSet reads a file that protoc has written with
// --descriptor_set_out and --include_imports.
func ReadDescriptorSet(path string) (*Descriptors, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a descriptor set: %w", err)
	}
	d, err := ParseDescriptorSet(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// ParseDescriptorSet takes the bytes of a google.protobuf.FileDescriptorSet.
func ParseDescriptorSet(b []byte) (*Descriptors, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil || len(set.GetFile()) == 0 {
		return nil, errors.New("not a descriptor set: make one with protoc --include_imports --descriptor_set_out=FILE")
	}
	return newDescriptors(&set)
}

func newDescriptors(set *descriptorpb.FileDescriptorSet) (*Descriptors, error) {
	if err := complete(set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("descriptors that don't fit together: %s", plain(err))
	}
	return &Descriptors{files: files, types: dynamicpb.NewTypes(files)}, nil
}

// complete adds the files of protobuf itself that are imported and not there, and
// makes sure that no other is missing.
func complete(set *descriptorpb.FileDescriptorSet) error {
	have := make(map[string]bool)
	for _, file := range set.GetFile() {
		have[file.GetName()] = true
	}
	for i := 0; i < len(set.File); i++ { // it grows
		for _, name := range set.File[i].GetDependency() {
			if have[name] {
				continue
			}
			known, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if err != nil || !strings.HasPrefix(name, "google/protobuf/") {
				return fmt.Errorf("%s imports %s, which is not there: protoc needs --include_imports", set.File[i].GetName(), name)
			}
			have[name] = true
			set.File = append(set.File, protodesc.ToFileDescriptorProto(known))
		}
	}
	return nil
}

// Method is a method that can be called.
type Method struct {
	name       string // package.Service/Method
	descriptor protoreflect.MethodDescriptor
	types      *dynamicpb.Types
}

// Method returns the method with a name like package.Service/Method. It fails
// when there is none, with the most similar ones that there are, and when the
// method is one that streams messages from the client.
func (d *Descriptors) Method(name string) (*Method, error) {
	service, method, err := split(name)
	if err != nil {
		return nil, err
	}
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(service))
	s, is := found.(protoreflect.ServiceDescriptor)
	if err != nil || !is {
		return nil, noService(service, d.services())
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		var names []string
		for i := range s.Methods().Len() {
			names = append(names, string(s.Methods().Get(i).Name()))
		}
		return nil, fmt.Errorf("service %s has no method %q: %s", service, method, suggest(method, names))
	}
	if m.IsStreamingClient() {
		return nil, fmt.Errorf("method %s streams messages from the client, only unary and server-streaming methods can be called", name)
	}
	return &Method{name: service + "/" + method, descriptor: m, types: d.types}, nil
}

// ServerStreaming reports whether any number of messages come back.
func (m *Method) ServerStreaming() bool { return m.descriptor.IsStreamingServer() }

// split takes a name apart.
func split(name string) (service, method string, err error) {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok || !protoreflect.FullName(service).IsValid() || !protoreflect.Name(method).IsValid() {
		return "", "", fmt.Errorf("%q is no method, one is written package.Service/Method", name)
	}
	return service, method, nil
}

func noService(name string, all []string) error {
	return fmt.Errorf("there is no service %q: %s", name, suggest(name, all))
}

// services returns the names of all services.
func (d *Descriptors) services() []string {
	var names []string
	d.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			names = append(names, string(file.Services().Get(i).FullName()))
		}
		return true
	})
	slices.Sort(names)
	return names
}

// suggest says which names there are: the one that was most likely meant, or the
// first few.
func suggest(name string, there []string) string {
	if len(there) == 0 {
		return "there are none"
	}
	best := slices.MinFunc(there, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if distance(name, best) <= max(2, len(name)/3) {
		return fmt.Sprintf("did you mean %q?", best)
	}
	const shown = 8
	if len(there) > shown {
		return fmt.Sprintf("there are %s and %d more", strings.Join(there[:shown], ", "), len(there)-shown)
	}
	return "there are " + strings.Join(there, ", ")
}

// distance is how many letters have to be inserted, deleted or replaced to make b
// of a (Levenshtein); capitals count as small letters.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j], row[j+1]) + 1
			if a[i] == b[j] {
				next = min(next, diagonal)
			} else {
				next = min(next, diagonal+1)
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// plain returns the text of an error of the protobuf module without what it puts
// in front.
func plain(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(text, "proto: ")
}
