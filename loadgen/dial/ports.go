package dial

import (
	"fmt"
	"strconv"
	"strings"
)

// portRangeFile is where Linux says which local ports connections get, for IPv6
// as well.
const portRangeFile = "/proc/sys/net/ipv4/ip_local_port_range"

// portRange reads what is in portRangeFile: "32768\t60999\n".
func portRange(text string) (low, high int, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0, 0, false
	}
	low, errLow := strconv.Atoi(fields[0])
	high, errHigh := strconv.Atoi(fields[1])
	return low, high, errLow == nil && errHigh == nil && 0 < low && low <= high && high < 1<<16
}

// portAdvice says how many connections the local ports allow.
func portAdvice(text string) string {
	low, high, ok := portRange(text)
	if !ok {
		return "no local port is free"
	}
	return fmt.Sprintf("no local port is free: net.ipv4.ip_local_port_range is %d to %d, which allows %d connections from an address to one address and port, those in TIME_WAIT included",
		low, high, high-low+1)
}
