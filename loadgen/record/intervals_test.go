package record

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The text of many batches comes back in its order, and what is wrong with it has the
// number that an editor shows, whichever goroutine found it.
func TestEachInterval(t *testing.T) {
	const n = 2000
	intervals := make([]string, n)
	var size int
	for i := range intervals {
		s := sparse{index: []int32{int32(i), int32(i + 7)}, counts: []int64{1, int64(i + 1)}}
		text, err := appendHlogLine(nil, &encoder{}, hlogLine{tag: tag{1, "a", quantityLatency}, start: time.Duration(i), end: time.Duration(i + 1), values: s})
		if err != nil {
			t.Fatal(err)
		}
		intervals[i], size = string(text), size+len(text)
	}
	if size < 4*batchBytes {
		t.Fatalf("%d bytes are too few to need several batches", size)
	}
	whole := "#header\n\n" + strings.Join(intervals, "") // the first interval is in line 3
	refused := errors.New("refused")
	for _, test := range []struct {
		name   string
		text   string
		refuse int // interval that is refused when it is used, from 0
		used   int
		torn   bool
		err    string // after the path
	}{
		{name: "whole", text: whole, refuse: -1, used: n},
		{name: "without the last break", text: strings.TrimSuffix(whole, "\n"), refuse: -1, used: n},
		{name: "empty", text: "", refuse: -1},
		{name: "half a last line", text: whole + "Tag=001/a/latency,1.0", refuse: -1, used: n, torn: true},
		{name: "last line without a break is refused", text: strings.TrimSuffix(whole, "\n"), refuse: n - 1, used: n - 1, torn: true},
		{name: "last line is refused", text: whole, refuse: n - 1, used: n - 1, err: ":" + strconv.Itoa(2+n) + ": refused"},
		{name: "damaged in the middle", text: "#header\n\n" + strings.Join(intervals[:1500], "") + "Tag=x\n" + strings.Join(intervals[1500:], ""), refuse: -1, used: 1500,
			err: ":1503: not an interval: Tag=…,start,length,max,histogram expected"},
		{name: "refused before it is damaged", text: "#header\n\n" + strings.Join(intervals[:1500], "") + "Tag=x\n", refuse: 1499, used: 1499, err: ":1502: refused"},
		{name: "refused early", text: whole, refuse: 0, err: ":3: refused"},
		{name: "a line without end", text: whole + strings.Repeat("x", maxLine+1<<17), refuse: -1, used: n, err: ":2003: the line is longer than 16777216 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), latencyFile)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			used := 0
			torn, err := eachInterval(path, func(line hlogLine) error {
				if used == test.refuse {
					return refused
				}
				want := sparse{index: []int32{int32(used), int32(used + 7)}, counts: []int64{1, int64(used + 1)}}
				if line.start != time.Duration(used) || !reflect.DeepEqual(line.values, want) {
					t.Fatalf("interval %d is %+v, want %+v", used, line, want)
				}
				used++
				return nil
			})
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), path)
			}
			if used != test.used || torn != test.torn || got != test.err {
				t.Errorf("used %d, torn %v, error %q; want %d, %v, %q", used, torn, got, test.used, test.torn, test.err)
			}
		})
	}
	if _, err := eachInterval(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file is %v", err)
	}
}
