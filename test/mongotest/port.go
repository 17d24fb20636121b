package mongotest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports lie below the range from which systems take those of outgoing connections: a client that knocks at the port of a server
// that is down may otherwise be given that very port, and so connect to itself or keep the server from coming back.
const (
	firstPort = 20000
	lastPort  = 32000
)

// Port is a TCP port on loopback that no other set has, in this process or another. The reservation is a UDP socket bound to the
// same number, which nothing else uses: the system frees it when this process ends, however it ends.
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
