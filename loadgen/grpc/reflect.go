package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	google "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// ReflectOptions say where a server is asked for its descriptors.
type ReflectOptions struct {
	Address   string           // host:port that is dialled
	Authority string           // empty: the address
	TLS       *tls.Config      // nil: cleartext
	Metadata  []exchange.Field // sent along; names in lower case
}

// The bounds of what a server may send as descriptors.
const (
	reflectFiles   = 4096
	reflectBytes   = 64 << 20 // all files together
	reflectMessage = 16 << 20 // one message
)

// Reflect asks a server for the descriptors of methods, by the reflection
// protocol of gRPC in its version v1, or v1alpha when the server has no other.
// ctx bounds how long that may take. Proxies of the environment are not used.
func Reflect(ctx context.Context, o ReflectOptions, methods []string) (d *Descriptors, err error) {
	var services []string
	for _, name := range methods {
		service, _, err := split(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(services, service) {
			services = append(services, service)
		}
	}
	conn, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("server reflection at %s: %w", o.Address, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, f := range o.Metadata {
		ctx = metadata.AppendToOutgoingContext(ctx, f.Name, f.Value)
	}
	var set *descriptorpb.FileDescriptorSet
	for _, version := range []string{"v1", "v1alpha"} {
		set, err = askAll(ctx, conn, version, services)
		if status.Code(err) != codes.Unimplemented {
			break
		}
	}
	switch {
	case status.Code(err) == codes.Unimplemented:
		return nil, fmt.Errorf("the server at %s has no reflection, name a descriptorSet instead: %w", o.Address, err)
	case err != nil:
		return nil, fmt.Errorf("server reflection at %s: %w", o.Address, err)
	}
	d, err = newDescriptors(set)
	if err != nil {
		return nil, fmt.Errorf("server reflection at %s: %w", o.Address, err)
	}
	return d, nil
}

// connect makes a client that connects when it is first used.
func connect(o ReflectOptions) (*google.ClientConn, error) {
	secure := insecure.NewCredentials()
	if o.TLS != nil {
		secure = named{credentials.NewTLS(o.TLS), o.TLS.ServerName}
	}
	options := []google.DialOption{
		google.WithTransportCredentials(secure), google.WithUserAgent("sailplan"),
		google.WithNoProxy(), google.WithDisableServiceConfig(), google.WithDisableRetry(),
		google.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}),
		google.WithDefaultCallOptions(google.MaxCallRecvMsgSize(reflectMessage)),
	}
	if o.Authority != "" {
		options = append(options, google.WithAuthority(o.Authority))
	}
	return google.NewClient("passthrough:///"+o.Address, options...)
}

// named are credentials that verify the server by another name than the authority
// of its calls, which scenarios allow and those of the client's own do not.
type named struct {
	credentials.TransportCredentials
	name string // empty: the authority
}

// ClientHandshake verifies the name.
func (n named) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if n.name != "" {
		authority = n.name
	}
	return n.TransportCredentials.ClientHandshake(ctx, authority, conn)
}

// Info leaves out the name, which would have to be the authority.
func (n named) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: n.TransportCredentials.Info().SecurityProtocol}
}

// Clone returns a copy.
func (n named) Clone() credentials.TransportCredentials {
	return named{n.TransportCredentials.Clone(), n.name}
}

// asking is one conversation with a server about its descriptors.
type asking struct {
	stream google.ClientStream
	set    descriptorpb.FileDescriptorSet
	have   map[string]bool // files, by name
	bytes  int
}

// askAll asks for the files of services and for all that these import.
func askAll(ctx context.Context, conn *google.ClientConn, version string, services []string) (*descriptorpb.FileDescriptorSet, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The messages of both versions are the same but for their package.
	stream, err := conn.NewStream(ctx, &google.StreamDesc{StreamName: "ServerReflectionInfo", ServerStreams: true, ClientStreams: true},
		"/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		return nil, err
	}
	a := &asking{stream: stream, have: make(map[string]bool)}
	for _, service := range services {
		err := a.files(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
		})
		if status.Code(err) == codes.NotFound {
			return nil, a.missing(service)
		}
		if err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(a.set.File); i++ { // it grows
		for _, name := range a.set.File[i].GetDependency() {
			if err := a.importOf(a.set.File[i].GetName(), name); err != nil {
				return nil, err
			}
		}
	}
	return &a.set, nil
}

// importOf asks for a file that another one imports. Files of protobuf itself,
// which some servers don't have, are known.
func (a *asking) importOf(by, name string) error {
	if a.have[name] {
		return nil
	}
	err := a.files(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileByFilename{FileByFilename: name},
	})
	if status.Code(err) == codes.NotFound {
		if _, known := protoregistry.GlobalFiles.FindFileByPath(name); known == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s, which %s imports: %w", name, by, err)
	}
	if !a.have[name] {
		return fmt.Errorf("asked for %s, which %s imports, the server sent other files", name, by)
	}
	return nil
}

// ask sends one question and returns its answer.
func (a *asking) ask(question *grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error) {
	if err := a.stream.SendMsg(question); err != nil && !errors.Is(err, io.EOF) {
		return nil, err // io.EOF: the server has ended the stream, RecvMsg knows why
	}
	answer := new(grpc_reflection_v1.ServerReflectionResponse)
	if err := a.stream.RecvMsg(answer); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the server ended the conversation")
		}
		return nil, err
	}
	if e := answer.GetErrorResponse(); e != nil {
		return nil, status.Error(codes.Code(e.GetErrorCode()), e.GetErrorMessage())
	}
	return answer, nil
}

// files asks for files and keeps those that are new.
func (a *asking) files(question *grpc_reflection_v1.ServerReflectionRequest) error {
	answer, err := a.ask(question)
	if err != nil {
		return err
	}
	for _, b := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(b, file); err != nil {
			return errors.New("the server sent a descriptor that can't be read")
		}
		if a.have[file.GetName()] {
			continue
		}
		a.have[file.GetName()] = true
		a.set.File = append(a.set.File, file)
		if a.bytes += len(b); a.bytes > reflectBytes || len(a.set.File) > reflectFiles {
			return fmt.Errorf("the server sent more than %d files or %d bytes of descriptors", reflectFiles, reflectBytes)
		}
	}
	return nil
}

// missing says which services there are instead of one.
func (a *asking) missing(service string) error {
	answer, err := a.ask(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return fmt.Errorf("there is no service %q, and no list of those that there are: %w", service, err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		if !strings.HasPrefix(s.GetName(), "grpc.reflection.") {
			names = append(names, s.GetName())
		}
	}
	slices.Sort(names)
	return noService(service, names)
}
