package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// meter measures the CPU time that other programs use from its start on:
// results measured beside a compiler mean little, and have to say so.
type meter struct {
	since     time.Time
	busy, own time.Duration
}

func startMeter(h *harness) meter { return meter{time.Now(), busyTime(h.cores), h.ownTime()} }

// others returns how many cores other programs kept busy. ok is false where
// the counters contradict each other, so that the number is unknown.
func (m meter) others(h *harness) (cores float64, ok bool) {
	return otherCores(busyTime(h.cores)-m.busy, h.ownTime()-m.own, time.Since(m.since))
}

func otherCores(busy, own, elapsed time.Duration) (cores float64, ok bool) {
	const rounding = 0.05 // the kernel counts in ticks, and updates its counters at different moments
	cores = (busy - own).Seconds() / elapsed.Seconds()
	return max(cores, 0), cores > -rounding
}

// busyTime returns how long the given cores have been busy since boot.
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

// ownTime returns the CPU time of this process and of its descendants, running
// and ended.
func (h *harness) ownTime() time.Duration {
	self, _ := processTimes(os.Getpid())
	sum := self.own + self.ended
	for _, p := range h.processes {
		select {
		case <-p.done: // counted among the ended
		default:
			used, _ := p.usage()
			sum += used
		}
	}
	return sum
}

// times are the CPU times of a process: its own, and its ended children's.
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
