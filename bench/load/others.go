package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// meter tells how much of the machine others used between its start and now:
// a run beside a compiler says little, and the results should say so.
type meter struct {
	since     time.Time
	busy, own time.Duration
}

func startMeter(s *stage) meter { return meter{time.Now(), busyTime(s.cores), s.ownTime()} }

// others is how many cores were busy with what is not ours. ok is false where
// the sum cannot be: then it is not known, which is not the same as none.
func (m meter) others(s *stage) (cores float64, ok bool) {
	return foreign(busyTime(s.cores)-m.busy, s.ownTime()-m.own, time.Since(m.since))
}

func foreign(busy, own, elapsed time.Duration) (cores float64, ok bool) {
	const rounding = 0.05 // the kernel counts in ticks, and not all at the same moment
	cores = (busy - own).Seconds() / elapsed.Seconds()
	return max(cores, 0), cores > -rounding
}

// busyTime is how long some cores have worked, for anybody.
func busyTime(cores []string) time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	ticks := int64(0)
	for line := range strings.Lines(string(stat)) {
		// cpuN user nice system idle iowait irq softirq steal …
		fields := strings.Fields(line)
		if len(fields) < 9 || !slices.Contains(cores, strings.TrimPrefix(fields[0], "cpu")) {
			continue
		}
		for _, i := range []int{1, 2, 3, 6, 7} {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

// ownTime is the processor time of this process, of what it runs and of what
// it ran.
func (s *stage) ownTime() time.Duration {
	self, _ := processTimes(os.Getpid())
	sum := self.own + self.ended
	for _, p := range s.processes {
		select {
		case <-p.done: // counted among the ended
		default:
			used, _ := p.usage()
			sum += used
		}
	}
	return sum
}

// times are processor times of a process: its own, and of children that ended.
type times struct{ own, ended time.Duration }

func processTimes(pid int) (times, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return times{}, err
	}
	// The second field is the name in parentheses, and may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var t [4]int64 // utime, stime, cutime, cstime
	for i := range t {
		if t[i], err = strconv.ParseInt(fields[11+i], 10, 64); err != nil {
			return times{}, err
		}
	}
	return times{time.Duration(t[0]+t[1]) * tick, time.Duration(t[2]+t[3]) * tick}, nil
}

const tick = time.Second / 100 // USER_HZ on every Linux in use
