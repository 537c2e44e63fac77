package hive

import (
	"context"
	"errors"
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

// PageUpdate is a change of a page; what is nil stays as it is.
type PageUpdate struct {
	// Title, Content and Category are as in [NewPage].
	Title, Content, Category *string
	// Order is the position within the category.
	Order *int
}

// wire checks an update and puts it into TheHive's words.
func (u PageUpdate) wire(op string) (map[string]any, error) {
	if err := checkTexts(op, optionalText("title", u.Title, 1, MaxTitle), optionalText("content", u.Content, 0, MaxText),
		optionalText("category", u.Category, 1, MaxLogin)); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "title", u.Title)
	put(body, "content", u.Content)
	put(body, "category", u.Category)
	put(body, "order", u.Order)
	return body, notEmpty(op, body)
}

// UpdatePage replaces the content of a page of a case by id or number
// (PATCH /api/v1/case/{caseId}/page/{pageId}). Content is Markdown of at most MaxText units.
func (c *Client) UpdatePage(ctx context.Context, caseID, pageID, content string) error {
	return c.ChangePage(ctx, caseID, pageID, PageUpdate{Content: &content})
}

// ChangePage changes what u names of a page of a case by id or number
// (PATCH /api/v1/case/{caseId}/page/{pageId}).
func (c *Client) ChangePage(ctx context.Context, caseID, pageID string, u PageUpdate) error {
	const op = "update page"
	if err := errors.Join(checkCase(op, caseID), checkID(op, "page", pageID)); err != nil {
		return err
	}
	body, err := u.wire(op)
	if err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/case/"+caseID+"/page/"+pageID, body)
}

// DeletePage deletes a page of a case by id or number
// (DELETE /api/v1/case/{caseId}/page/{pageId}).
func (c *Client) DeletePage(ctx context.Context, caseID, pageID string) error {
	const op = "delete page"
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if err := checkID(op, "page", pageID); err != nil {
		return err
	}
	return c.delete(ctx, op, "/case/"+caseID+"/page/"+pageID)
}

// CasePages lists the pages of a case by id or number, oldest first; of a case
// that does not exist it lists none (getCase, pages).
func (c *Client) CasePages(ctx context.Context, caseID string) iter.Seq2[Page, error] {
	return parts(ctx, c, "list pages", caseID, "pages", pageID)
}

// AddKnowledge adds a page to the organisation's knowledge base, which belongs to
// no case (POST /api/v1/page; right manageKnowledgeBase).
func (c *Client) AddKnowledge(ctx context.Context, p NewPage) (Page, error) {
	const op = "add knowledge page"
	if err := p.check(op, ""); err != nil {
		return Page{}, err
	}
	return create(ctx, c, op, "/page", p, pageID)
}

// UpdateKnowledge changes what u names of a page of the knowledge base
// (PATCH /api/v1/page/{pageId}).
func (c *Client) UpdateKnowledge(ctx context.Context, id string, u PageUpdate) error {
	return c.update(ctx, "update knowledge page", "page", id, u)
}

// DeleteKnowledge deletes a page of the knowledge base (DELETE /api/v1/page/{pageId}).
func (c *Client) DeleteKnowledge(ctx context.Context, id string) error {
	const op = "delete knowledge page"
	if err := checkID(op, "page", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/page/"+id)
}
