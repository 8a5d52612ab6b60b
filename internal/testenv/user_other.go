//go:build !linux && !darwin

package testenv

import (
	"errors"
	"os/exec"
	"runtime"
)

func detach(*exec.Cmd) error { return errors.New("not supported on " + runtime.GOOS) }
