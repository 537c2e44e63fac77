package demo

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
)

// parentOfATest starts a child that must not outlive it, and waits for ever.
func parentOfATest() error {
	cmd := exec.Command(os.Args[0], "child")
	cmd.Stdout = os.Stdout
	neverAlone(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Wait()
}

// childOfATest says that it is there, and waits for ever.
func childOfATest() error {
	if _, err := os.Stdout.WriteString("here\n"); err != nil {
		return err
	}
	forever := make(chan os.Signal, 1)
	signal.Notify(forever, syscall.SIGTERM)
	<-forever
	return nil
}

// TestTheSecondReplicaDiesWithTheDemonstration: what both write to ends when neither is there.
func TestTheSecondReplicaDiesWithTheDemonstration(t *testing.T) {
	t.Parallel()
	from, to, err := os.Pipe()
	workertest.Must(t, err)
	cmd := exec.Command(os.Args[0], "parent")
	cmd.Stdout = to
	workertest.Must(t, cmd.Start())
	workertest.Must(t, to.Close())
	said := bufio.NewReader(from)
	if line, err := said.ReadString('\n'); line != "here\n" || err != nil {
		t.Errorf("the child says %q: %v", line, err)
	}
	workertest.Must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	workertest.Must(t, from.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Errorf("the child lives on: %v", err)
	}
}
