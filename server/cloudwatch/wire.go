// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/leatstream/leat/server/awswire"
)

// wire is a protocol.
type wire interface {
	// operation is the name of what a request asks for.
	operation(c *call) (string, error)
	// decode reads a request's body into an input. A member that the input does not have is refused by its name.
	decode(c *call, in any) error
	answer(c *call, out any) ([]byte, error)
	refusal(c *call, e *awswire.Error) []byte
	headers() map[string]string
}

const (
	formType = "application/x-www-form-urlencoded"
	cborType = "application/cbor"
	jsonType = "application/x-amz-json-1.0"
)

func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func wireOf(r *http.Request) wire {
	switch {
	case r.PathValue("operation") != "":
		return cborWire{}
	case mediaType(r) == formType:
		return &formWire{}
	}
	return jsonWire{}
}

// errNotRead says that a body is not what its protocol says.
func errNotRead(what string) error { return awswire.Serialization("the request's body is not " + what) }

func errMember(name string) error {
	return refuse("%s is not supported by this server", strings.Trim(name, `"`))
}

// cborWire is smithy.protocols#rpcv2Cbor.
type cborWire struct{}

func (cborWire) operation(c *call) (string, error) {
	if c.r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		return "", &awswire.Error{Type: typeUnknown, Message: "the header smithy-protocol must be rpc-v2-cbor", Status: http.StatusNotFound}
	}
	return c.r.PathValue("operation"), nil
}

func (cborWire) decode(c *call, in any) error {
	if len(c.body) == 0 {
		return nil
	}
	mode, err := cbor.DecOptions{MaxNestedLevels: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive}.DecMode()
	if err != nil {
		return err
	}
	err = mode.Unmarshal(c.body, in)
	if _, ok := errors.AsType[*cbor.UnknownFieldError](err); ok {
		var all map[string]cbor.RawMessage
		if cbor.Unmarshal(c.body, &all) == nil {
			if name := unknownIn(all, in); name != "" {
				return errMember(name)
			}
		}
		return refuse("a member of the request is not supported by this server")
	}
	if err != nil {
		return errNotRead("CBOR of this operation")
	}
	return nil
}

// answer writes an answer. fxamacker/cbor goes by the tags of encoding/json.
func (cborWire) answer(_ *call, out any) ([]byte, error) { return cbor.Marshal(out) }

func (cborWire) refusal(_ *call, e *awswire.Error) []byte {
	b, _ := cbor.Marshal(map[string]string{"__type": "com.amazonaws.cloudwatch#" + e.Type, "message": e.Message}) // cannot fail
	return b
}

func (cborWire) headers() map[string]string {
	return map[string]string{"Content-Type": cborType, "Smithy-Protocol": "rpc-v2-cbor"}
}

// jsonWire is aws.protocols#awsJson1_0.
type jsonWire struct{}

func (jsonWire) operation(c *call) (string, error) {
	return strings.TrimPrefix(c.r.Header.Get("X-Amz-Target"), service+"."), nil
}

func (jsonWire) decode(c *call, in any) error {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	err := d.Decode(in)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return errNotRead("one JSON object")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // encoding/json has no type for it
		return errMember(name)
	}
	return errNotRead("JSON of this operation")
}

func (jsonWire) answer(_ *call, out any) ([]byte, error) { return json.Marshal(out) }

func (jsonWire) refusal(_ *call, e *awswire.Error) []byte {
	b, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.cloudwatch#" + e.Type, "message": e.Message}) // cannot fail
	return b
}

func (jsonWire) headers() map[string]string { return map[string]string{"Content-Type": jsonType} }

// formWire is aws.protocols#awsQuery: a form asks, XML answers.
type formWire struct{ form *node }

func (w *formWire) operation(c *call) (string, error) {
	var err error
	if w.form, err = parseForm(string(c.body)); err != nil {
		return "", err
	}
	return w.form.take("Action"), nil
}

func (w *formWire) decode(_ *call, in any) error {
	w.form.take("Version")
	return w.form.fill(in)
}

const space = "http://monitoring.amazonaws.com/doc/2010-08-01/"

func (*formWire) answer(c *call, out any) ([]byte, error) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	name := func(s string) xml.StartElement { return xml.StartElement{Name: xml.Name{Local: c.operation + s}} }
	response := name("Response")
	response.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: space}}
	err := errors.Join(e.EncodeToken(response), e.EncodeElement(out, name("Result")),
		e.EncodeElement(struct{ RequestId string }{c.id}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}),
		e.EncodeToken(response.End()), e.Close())
	return b.Bytes(), err
}

func (*formWire) refusal(c *call, e *awswire.Error) []byte {
	type fault struct{ Type, Code, Message string }
	b, _ := xml.Marshal(struct { // cannot fail
		XMLName   xml.Name `xml:"ErrorResponse"`
		Space     string   `xml:"xmlns,attr"`
		Error     fault
		RequestID string `xml:"RequestId"`
	}{Space: space, Error: fault{faultOf(e), codeOf(e.Type), e.Message}, RequestID: c.id})
	return b
}

func (*formWire) headers() map[string]string { return map[string]string{"Content-Type": "text/xml"} }

// list is written as AWS does in XML, with each element in a member, and as it is elsewhere.
type list[T any] []T

// MarshalXML implements xml.Marshaler.
func (l list[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for i := range l {
		if err := e.EncodeElement(l[i], xml.StartElement{Name: xml.Name{Local: "member"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}
