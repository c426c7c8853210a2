// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed reference.html
var referenceHTML string

//go:embed reference.css
var referenceCSS string

// reference is the rendered page of the API: made once from the OpenAPI document, with nothing loaded from elsewhere and
// no script.
type reference struct {
	page   []byte
	policy string
}

func newReference(openapi string) (*reference, error) {
	var doc apiDoc
	if err := json.Unmarshal([]byte(openapi), &doc); err != nil {
		return nil, fmt.Errorf("grpcapi: OpenAPI document: %w", err)
	}
	t, err := template.New("reference").Funcs(template.FuncMap{"paragraphs": paragraphs, "upper": strings.ToUpper}).Parse(referenceHTML)
	if err != nil {
		return nil, fmt.Errorf("grpcapi: reference page: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, struct {
		Info     apiInfo
		CSS      template.CSS
		Services []apiService
		Types    ordered[apiSchema]
	}{doc.Info, template.CSS(referenceCSS), doc.services(), doc.Definitions}); err != nil {
		return nil, fmt.Errorf("grpcapi: reference page: %w", err)
	}
	sum := sha256.Sum256([]byte(referenceCSS))
	return &reference{page.Bytes(), "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}, nil
}

func (p *reference) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(p.page) // fails only when the caller is gone
}

// apiDoc is what the page needs of an OpenAPI 2.0 document.
type apiDoc struct {
	Info        apiInfo                     `json:"info"`
	Tags        []apiTag                    `json:"tags"`
	Paths       ordered[ordered[apiMethod]] `json:"paths"`
	Definitions ordered[apiSchema]          `json:"definitions"`
}

type apiInfo struct{ Title, Description, Version string }

type apiTag struct{ Name, Description string }

type apiMethod struct {
	Summary, Description, OperationID string
	Tags                              []string
	Parameters                        []apiParameter
	Responses                         map[string]struct{ Schema apiSchema }
}

type apiParameter struct {
	Name, In, Description string
	Schema                *apiSchema
	apiType
}

type apiType struct {
	Type, Format string
	Ref          string `json:"$ref"`
	Enum         []string
	Items        *apiType
}

type apiSchema struct {
	Description string
	Properties  ordered[apiSchema]
	apiType
}

// apiService is one chapter of the page.
type apiService struct {
	apiTag
	Methods []apiCall
}

type apiCall struct {
	Verb, Path, Name string
	apiMethod
}

// services puts the methods under their tags, in the order of the document.
func (d *apiDoc) services() []apiService {
	var out []apiService
	for _, tag := range d.Tags {
		s := apiService{apiTag: tag}
		for _, path := range d.Paths {
			for _, m := range path.Value {
				if slices.Contains(m.Value.Tags, tag.Name) {
					_, name, _ := strings.Cut(m.Value.OperationID, "_")
					s.Methods = append(s.Methods, apiCall{m.Name, path.Name, name, m.Value})
				}
			}
		}
		out = append(out, s)
	}
	return out
}

// Link is the name of the definition that a type refers to; empty when it refers to none.
func (t apiType) Link() string {
	if t.Items != nil {
		return t.Items.Link()
	}
	return strings.TrimPrefix(t.Ref, "#/definitions/")
}

// Text is the type for people.
func (t apiType) Text() string {
	switch {
	case t.Items != nil:
		return "array of " + t.Items.Text()
	case t.Ref != "":
		return t.Link()
	case len(t.Enum) > 0:
		return "enum"
	case t.Format != "" && t.Format != t.Type:
		return t.Type + " (" + t.Format + ")"
	}
	return t.Type
}

// Answer is the schema of success; a stream of results is shown as one of them.
func (m apiMethod) Answer() apiType {
	s := m.Responses["200"].Schema
	for _, p := range s.Properties {
		if p.Name == "result" {
			return p.Value.apiType
		}
	}
	return s.apiType
}

// paragraphs cuts a comment at its empty lines and sets what stands in backquotes as code.
func paragraphs(s string) (out []template.HTML) {
	for p := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		var b strings.Builder
		for i, part := range strings.Split(p, "`") {
			if i%2 == 1 {
				b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
			} else {
				b.WriteString(template.HTMLEscapeString(part))
			}
		}
		out = append(out, template.HTML(b.String()))
	}
	return out
}

// ordered is a JSON object whose members keep their order.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

// UnmarshalJSON reads an object.
func (o *ordered[T]) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		m := member[T]{Name: fmt.Sprint(name)}
		if err := dec.Decode(&m.Value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

// Bare is the type without what a schema or parameter says about it.
func (t apiType) Bare() apiType { return t }
