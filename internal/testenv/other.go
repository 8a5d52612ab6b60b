//go:build !linux && !darwin

package testenv

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
)

var errNotHere = errors.New("not supported on " + runtime.GOOS)

func setApart(*exec.Cmd) error { return errNotHere }

func lockFile(context.Context, string) (func(), error) { return nil, errNotHere }
