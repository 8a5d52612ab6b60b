package users

import "github.com/veranda-go/veranda/internal/httpapi"

// ReadDraft reads a draft from a form or a JSON object. Validate is left to the
// caller.
func ReadDraft(p *httpapi.Params) Draft { return Draft{Name: p.RequiredText("name")} }
