package hive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"forager/hive"
	"forager/hive/admin"
	"forager/hive/hivetest"
)

// TestContractOfSharing shares a case of the simulator between two of its organisations and takes it elsewhere as an
// archive, each exchange held against the descriptions.
func TestContractOfSharing(t *testing.T) {
	t.Parallel()
	_, o := simulator(t)
	o.Organisation = "admin"
	root := open(t, o)
	o.Organisation = hivetest.DefaultOrganisation
	here := open(t, o)
	status, err := here.Status(t.Context())
	must(t, err)
	root.judge.answers, _, _ = strings.Cut(status.Version, "-")
	here.judge.answers = root.judge.answers
	_, err = admin.New(root.Client).CreateOrganisation(t.Context(), admin.NewOrganisation{Name: "partner", Description: "d"})
	must(t, err)
	must(t, admin.New(root.Client).LinkOrganisations(t.Context(), hivetest.DefaultOrganisation, admin.OrganisationLink{To: "partner", Kind: "supervised", Back: "notSupervised"}))
	in := here.opened(t, hive.NewCase{Title: "shared", Description: "d"})
	added, err := here.AddObservables(t.Context(), in.ID, hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.9"}})
	must(t, err)
	task, err := here.AddTask(t.Context(), in.ID, hive.NewTask{Title: "look"})
	must(t, err)
	t.Run("shares", func(t *testing.T) { shareAround(t, here, in, task.ID, added.Created[0].ID) })
	t.Run("archive", func(t *testing.T) { takeElsewhere(t, here, in) })
	t.Run("knowledge", func(t *testing.T) { keepKnowledge(t, here) })
}

func shareAround(t *testing.T, c contract, in hive.Case, taskID, observableID string) {
	ctx := t.Context()
	_, err := c.ShareCase(ctx, in.ID, hive.NewShare{Organisation: "partner", Profile: "analyst"})
	must(t, err)
	shares, err := c.CaseShares(ctx, in.ID)
	must(t, err)
	partner := ""
	for _, s := range shares {
		if s.Organisation == "partner" && !s.Owner {
			partner = s.ID
		}
	}
	if partner == "" {
		t.Fatalf("shares %+v", shares)
	}
	must(t, c.UpdateShare(ctx, partner, "read-only"))
	must(t, c.ShareTask(ctx, taskID, "partner"))
	must(t, c.ShareObservable(ctx, observableID, "partner"))
	if got, err := c.TaskShares(ctx, taskID); err != nil || len(got) == 0 {
		t.Errorf("task's shares %+v, %v", got, err)
	}
	if got, err := c.ObservableShares(ctx, observableID); err != nil || len(got) == 0 {
		t.Errorf("observable's shares %+v, %v", got, err)
	}
	must(t, c.UnshareTask(ctx, taskID, "partner"))
	must(t, c.UnshareObservable(ctx, observableID, "partner"))
	must(t, c.UnshareCase(ctx, in.ID, "partner"))
	left, err := c.CaseShares(ctx, in.ID)
	if err != nil || slices.ContainsFunc(left, func(s hive.Share) bool { return s.Organisation == "partner" }) {
		t.Errorf("shares %+v, %v", left, err)
	}
}

func takeElsewhere(t *testing.T, c contract, in hive.Case) {
	ctx := t.Context()
	body, err := c.ExportCase(ctx, in.ID, "secret12")
	must(t, err)
	archive, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	made, err := c.ImportCase(ctx, hive.Upload{Name: "case.thar", Body: bytes.NewReader(archive)}, "secret12")
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteCase(context.WithoutCancel(ctx), made.Case.ID) })
	if made.Case.ID == in.ID || made.Case.Title != "shared" || len(made.Observables) != 1 {
		t.Errorf("imported %+v", made)
	}
	if _, err := c.ImportCase(ctx, hive.Upload{Name: "case.thar", Body: bytes.NewReader(archive)}, "another"); err == nil {
		t.Error("a wrong password opens the archive")
	}
}

func keepKnowledge(t *testing.T, c contract) {
	ctx := t.Context()
	page, err := c.AddKnowledge(ctx, hive.NewPage{Title: "t", Content: "c", Category: "k"})
	must(t, err)
	must(t, c.UpdateKnowledge(ctx, page.ID, hive.PageUpdate{Content: new("d")}))
	must(t, c.DeleteKnowledge(ctx, page.ID))
}
