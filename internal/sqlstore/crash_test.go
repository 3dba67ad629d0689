package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// appendForever is the variable that makes this test program append batches to the database that it names.
const appendForever = "SENGU_TEST_APPEND"

const crashBatch = 20

// appendUntilKilled prints the number of every batch once it is recorded.
func appendUntilKilled(url string) int {
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, url, sqlstore.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for n := 0; ; n++ {
		if _, err := s.Append(ctx, batch(n)...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(n)
	}
}

func batch(n int) []history.Event {
	events := make([]history.Event, crashBatch)
	for i := range events {
		events[i] = event(n*crashBatch + i)
	}
	return events
}

// TestKilledWhileRecording kills a process that records, and looks what is there: every batch that it was told is recorded,
// and each whole.
func TestKilledWhileRecording(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			url := d.create(t)
			s := open(t, url)
			if err := s.Register(t.Context(), "slack"); err != nil {
				t.Fatal(err)
			}
			for round := range 3 {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), appendForever+"="+url)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				last := -1
				lines := bufio.NewScanner(out)
				for lines.Scan() {
					if last, err = strconv.Atoi(lines.Text()); err != nil {
						t.Fatal(err)
					}
					if last >= 10*(round+1) {
						_ = cmd.Process.Kill()
					}
				}
				_ = cmd.Wait()
				whole(t, s, last)
			}
		})
	}
}

// TestTheServerCrashesWhileItRecords does the same to the server.
func TestTheServerCrashesWhileItRecords(t *testing.T) {
	server := postgres(t)
	s := open(t, server.Database(t))
	if err := s.Register(t.Context(), "slack"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Restart(t) })
	recorded := make(chan int)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(recorded)
		for n := 0; ; n++ {
			if _, err := s.Append(ctx, batch(n)...); err != nil {
				return
			}
			recorded <- n
		}
	}()
	last := -1
	for last < 10 {
		n, ok := <-recorded
		if !ok {
			t.Fatal("recording ended by itself")
		}
		last = n
	}
	rest := make(chan int)
	go func() {
		for n := range recorded {
			last = n
		}
		rest <- last
	}()
	server.Kill(t)
	last = <-rest
	server.Restart(t)
	whole(t, s, last)
}

// whole checks that all batches up to last are recorded, and none in part. One more may be: its answer was lost.
func whole(t *testing.T, s *sqlstore.Store, last int) {
	t.Helper()
	events := all(t, s, history.Filter{})
	if len(events)%crashBatch != 0 || len(events) < (last+1)*crashBatch {
		t.Errorf("%d events are recorded, and %d were said to be", len(events), (last+1)*crashBatch)
	}
	sinks, err := s.Sinks(t.Context())
	if err != nil || sinks[0].Pending != len(events) {
		t.Errorf("%d events and %+v: %v", len(events), sinks, err)
	}
}
