package files

import "syscall"

// roomIn is how many bytes a folder takes still, if that is known.
func roomIn(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // 32 bits on some machines
}
