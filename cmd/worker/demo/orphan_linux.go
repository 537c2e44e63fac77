package demo

import (
	"os/exec"
	"syscall"
)

// neverAlone lets the kernel kill a process when the demonstration dies without a word, as by kill -9.
func neverAlone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
