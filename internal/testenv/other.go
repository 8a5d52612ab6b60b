//go:build !linux && !darwin

package testenv

import (
	"errors"
	"os/exec"
	"runtime"
)

var errNotHere = errors.New("not supported on " + runtime.GOOS)

func setApart(*exec.Cmd) error { return errNotHere }
