package dial

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Resolver looks names up and shares connections out among their addresses. The
// zero value is ready; any number of goroutines may use it. Its fields must not
// change once it is in use.
type Resolver struct {
	Every  time.Duration                                                // for so long an answer is used; 0: each connection looks up anew
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: as the system does

	mu    sync.Mutex // guards names
	names map[string]*name
}

// name is what is known about a host.
type name struct {
	turn      chan struct{} // holds one thing while somebody uses the rest
	addresses []netip.Addr
	asked     time.Time
	next      int // of the connection
}

// resolve returns the addresses of host:port in the order in which they are to
// be tried, and how long it took to look them up.
func (r *Resolver) resolve(ctx context.Context, address string) ([]netip.AddrPort, time.Duration, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, 0, &net.AddrError{Err: "port " + strconv.Quote(service), Addr: address}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, 0, nil
	}
	begin := time.Now()
	ips, err := r.look(ctx, host)
	if err != nil {
		return nil, 0, err
	}
	found := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		found[i] = netip.AddrPortFrom(ip, uint16(port))
	}
	return found, time.Since(begin), nil
}

// look returns the addresses of a host, beginning with another one each time.
func (r *Resolver) look(ctx context.Context, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	n := r.names[host]
	if n == nil {
		if r.names == nil {
			r.names = make(map[string]*name)
		}
		n = &name{turn: make(chan struct{}, 1)}
		r.names[host] = n
	}
	r.mu.Unlock()

	if r.Every <= 0 {
		fresh, err := r.ask(ctx, host)
		if err != nil {
			return nil, err
		}
		return n.share(ctx, fresh)
	}
	select { // one asks, and the others use the answer
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-n.turn }()
	if n.addresses == nil || time.Since(n.asked) >= r.Every {
		fresh, err := r.ask(ctx, host)
		if err != nil {
			return nil, err
		}
		n.addresses, n.asked = fresh, time.Now()
	}
	n.next++
	return order(n.addresses, n.next-1), nil
}

// share orders addresses for the next connection.
func (n *name) share(ctx context.Context, addresses []netip.Addr) ([]netip.Addr, error) {
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-n.turn }()
	n.next++
	return order(addresses, n.next-1), nil
}

// ask looks a host up.
func (r *Resolver) ask(ctx context.Context, host string) ([]netip.Addr, error) {
	lookup := r.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return ips, nil
}

// order returns addresses as they are to be tried by the n-th connection. The
// two families alternate, beginning with the one that the resolver put first.
// Within a family each connection begins with another address; they are sorted
// before, because servers that rotate their answers would rotate against it.
func order(addresses []netip.Addr, n int) []netip.Addr {
	var families [2][]netip.Addr // the preferred one first
	for _, a := range addresses {
		a = a.Unmap()
		f := 0
		if a.Is4() != addresses[0].Unmap().Is4() {
			f = 1
		}
		families[f] = append(families[f], a)
	}
	for f, family := range families {
		slices.SortFunc(family, netip.Addr.Compare)
		families[f] = slices.Compact(family)
	}
	var ordered []netip.Addr
	for i := range max(len(families[0]), len(families[1])) {
		for _, family := range families {
			if i < len(family) {
				ordered = append(ordered, family[(n+i)%len(family)])
			}
		}
	}
	return ordered
}
