//go:build !linux

package lab

import (
	"context"
	"errors"
	"net"
)

// errFaultsNeedLinux says that a port cannot be held and a backlog not be filled.
var errFaultsNeedLinux = errors.New("faults of the test service need Linux")

func holdPort() (address string, release func(), err error) { return "", nil, errFaultsNeedLinux }

func fillBacklog(context.Context, net.Listener) ([]net.Conn, error) { return nil, errFaultsNeedLinux }
