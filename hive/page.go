package hive

import (
	"context"
	"iter"
	"net/http"
)

// Page is one page of a case (OutputPage).
type Page struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Title, Content (Markdown) and Category are free text.
	Title    string `json:"title"`
	Content  string `json:"content"`
	Category string `json:"category"`
	// Order is the position within the category.
	Order int `json:"order"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// pageID names the identity of a page to the decoders.
func pageID(p *Page) string { return p.ID }

// NewPage is a page to be created, with its case or later (InputCreatePage).
type NewPage struct {
	// Title has 1 to MaxTitle units.
	Title string `json:"title"`
	// Content is Markdown, of at most MaxText units.
	Content string `json:"content"`
	// Category has 1 to MaxLogin units.
	Category string `json:"category"`
	// Order is the position within the category.
	Order int `json:"order,omitempty"`
}

// check refuses what TheHive would.
func (p NewPage) check(op, at string) error {
	return checkTexts(op, rule{at + "title", p.Title, 1, MaxTitle},
		rule{at + "content", p.Content, 0, MaxText}, rule{at + "category", p.Category, 1, MaxLogin})
}

// AddPage adds a page to a case by id or number
// (POST /api/v1/case/{caseId}/page).
func (c *Client) AddPage(ctx context.Context, caseID string, p NewPage) (Page, error) {
	const op = "add page"
	var out Page
	if err := checkCase(op, caseID); err != nil {
		return out, err
	}
	if err := p.check(op, ""); err != nil {
		return out, err
	}
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/case/" + caseID + "/page", body: p, write: true, accept: intoEntity(&out, pageID)})
	return out, err
}

// CasePages lists the pages of a case by id or number, oldest first; of a case
// that does not exist it lists none (getCase, pages).
func (c *Client) CasePages(ctx context.Context, caseID string) iter.Seq2[Page, error] {
	return parts(ctx, c, "list pages", caseID, "pages", pageID)
}
