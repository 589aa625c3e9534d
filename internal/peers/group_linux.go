package peers

import "syscall"

// processGroup gives a child a group of its own, so that what it forks can be ended with it; it dies with us in any case.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
