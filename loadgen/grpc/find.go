package grpc

import (
	"context"
	"fmt"
)

// Wanted is a method that shall be called, and where its descriptors are.
type Wanted struct {
	Method        string // package.Service/Method
	DescriptorSet string // file, by its path; empty: the server is asked
}

// Find returns the methods that are wanted, in that order. Each file is read
// once, and the server is asked once, when any method needs that.
func Find(ctx context.Context, server ReflectOptions, wanted []Wanted) ([]*Method, error) {
	sources := make(map[string]*Descriptors)
	methods := make([]*Method, 0, len(wanted))
	for _, w := range wanted {
		d, known := sources[w.DescriptorSet]
		if !known {
			var err error
			if w.DescriptorSet != "" {
				d, err = ReadDescriptorSet(w.DescriptorSet)
			} else {
				d, err = Reflect(ctx, server, reflected(wanted))
			}
			if err != nil {
				return nil, err
			}
			sources[w.DescriptorSet] = d
		}
		m, err := d.Method(w.Method)
		if err != nil && w.DescriptorSet != "" {
			err = fmt.Errorf("%s: %w", w.DescriptorSet, err)
		}
		if err != nil {
			return nil, err
		}
		methods = append(methods, m)
	}
	return methods, nil
}

// reflected returns the methods that the server is asked for.
func reflected(wanted []Wanted) []string {
	var methods []string
	for _, w := range wanted {
		if w.DescriptorSet == "" {
			methods = append(methods, w.Method)
		}
	}
	return methods
}
