// go-libvirt under a benchmark: main MODE SOCKET COUNT, one JSON line out. The modes of libvirt-client.ts.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/digitalocean/go-libvirt"
)

const messageType = 2

// recorder keeps the events that pass, and can give them again as if they came.
type recorder struct {
	net.Conn
	mutex  sync.Mutex
	frames [][]byte
	pass   chan []byte
	rest   []byte
}

func (r *recorder) Dial() (net.Conn, error) { return r, nil }

// pump reads whole packets of the real socket.
func (r *recorder) pump() {
	for {
		head := make([]byte, 4)
		if _, err := readFull(r.Conn, head); err != nil {
			close(r.pass)
			return
		}
		packet := make([]byte, binary.BigEndian.Uint32(head))
		copy(packet, head)
		if _, err := readFull(r.Conn, packet[4:]); err != nil {
			close(r.pass)
			return
		}
		if binary.BigEndian.Uint32(packet[16:]) == messageType {
			r.mutex.Lock()
			r.frames = append(r.frames, packet)
			r.mutex.Unlock()
		}
		r.pass <- packet
	}
}

func readFull(conn net.Conn, into []byte) (int, error) {
	done := 0
	for done < len(into) {
		n, err := conn.Read(into[done:])
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func (r *recorder) Read(into []byte) (int, error) {
	if len(r.rest) == 0 {
		next, open := <-r.pass
		if !open {
			return 0, net.ErrClosed
		}
		r.rest = next
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpuMs() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func decode(client *libvirt.Libvirt, r *recorder, count int) int {
	events, err := client.LifecycleEvents(context.Background())
	check(err)
	domain, err := client.DomainLookupByName("test")
	check(err)
	check(client.DomainSuspend(domain))
	<-events
	check(client.DomainResume(domain))
	<-events
	r.mutex.Lock()
	pair := append(append([]byte{}, r.frames[0]...), r.frames[1]...)
	r.mutex.Unlock()
	chunk := []byte{}
	each := 0
	for len(chunk) < 65536 {
		chunk = append(chunk, pair...)
		each += 2
	}
	go func() {
		for sent := 0; sent < count; sent += each {
			r.pass <- chunk
		}
	}()
	start, before := time.Now(), cpuMs()
	seen := 0
	last := int32(-1)
	for seen < count {
		event := <-events
		if event.Event == last {
			check(fmt.Errorf("out of order"))
		}
		last = event.Event
		seen++
	}
	report(start, before, seen)
	return seen
}

func report(start time.Time, before float64, done int) {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"ms": float64(time.Since(start).Nanoseconds()) / 1e6, "cpuMs": cpuMs() - before, "done": done,
		"rssMb": float64(usage.Maxrss) / 1024,
	}))
	os.Exit(0)
}

func work(client *libvirt.Libvirt, mode string, count int) int {
	switch mode {
	case "list":
		done := 0
		for n := 0; n < count; n++ {
			domains, _, err := client.ConnectListAllDomains(1, 0)
			check(err)
			for _, domain := range domains {
				_, _, _, _, _, err := client.DomainGetInfo(domain)
				check(err)
			}
			done += len(domains)
		}
		return done
	case "stats":
		done := 0
		for n := 0; n < count; n++ {
			stats, err := client.ConnectGetAllDomainStats(nil, 0, 0)
			check(err)
			done += len(stats)
		}
		return done
	case "sequential":
		for n := 0; n < count; n++ {
			_, err := client.ConnectGetHostname()
			check(err)
		}
		return count
	}
	check(fmt.Errorf("no mode %s", mode))
	return 0
}

func main() {
	mode, socket, uri := os.Args[1], os.Args[2], os.Args[3]
	count, err := strconv.Atoi(os.Args[4])
	check(err)
	conn, err := net.Dial("unix", socket)
	check(err)
	r := &recorder{Conn: conn, pass: make(chan []byte, 64)}
	go r.pump()
	client := libvirt.NewWithDialer(r)
	check(client.ConnectToURI(libvirt.ConnectURI(uri)))
	if mode == "decode" {
		decode(client, r, count)
		return
	}
	work(client, mode, count)
	start, before := time.Now(), cpuMs()
	report(start, before, work(client, mode, count))
}
