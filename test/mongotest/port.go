package mongotest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are below the ephemeral range: otherwise a client that connects to the port of a stopped server could get the same port
// for its side, and connect to itself or block the server's restart.
const (
	firstPort = 20000
	lastPort  = 32000
)

// Port is a TCP port on loopback that is reserved across processes. The reservation is a UDP socket bound to the same number,
// which the kernel closes when this process ends, even by a crash.
type Port struct {
	// Number is the port's number.
	Number      int
	reservation net.PacketConn
}

// ReservePort reserves a free port.
func ReservePort() (Port, error) {
	for range 1000 {
		n := firstPort + rand.IntN(lastPort-firstPort)
		addr := fmt.Sprintf("127.0.0.1:%d", n)
		reservation, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return Port{Number: n, reservation: reservation}, l.Close()
		}
		if err := reservation.Close(); err != nil {
			return Port{}, err
		}
	}
	return Port{}, errors.New("no free port on 127.0.0.1")
}

// Release ends the reservation.
func (p Port) Release() error {
	if p.reservation == nil {
		return nil
	}
	return p.reservation.Close()
}
