// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat"
)

// restBody is the body of a REST request; the decoder leaves on it what is wrong.
type restBody struct {
	io.ReadCloser
	call *restCall
}

// restJSON is the gateway's JSON: members that are not in the message are refused, members without a value are sent.
type restJSON struct{ *runtime.JSONPb }

func newJSON() *restJSON {
	return &restJSON{&runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true}}}
}

// NewDecoder reads one message. An error's text would show the payload and its form is not promised: so when the parser
// refuses a body, it is read again to name the member that is wrong.
func (j *restJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		raw, err := io.ReadAll(r)
		if err == nil {
			err = j.decode(raw, v)
		}
		if body, ok := r.(*restBody); ok && err != nil && !errors.Is(err, io.EOF) {
			body.call.fault = readFault(err)
		}
		return err
	})
}

func (j *restJSON) decode(raw []byte, v any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return io.EOF
	}
	m, ok := v.(proto.Message)
	if !ok { // a member of the request; checkBody has seen it
		return j.JSONPb.NewDecoder(bytes.NewReader(raw)).Decode(v)
	}
	if err := countJSON(raw); err != nil {
		return err
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		return diagnose("", raw, m.ProtoReflect().Descriptor())
	}
	return nil
}

func readFault(err error) error {
	var e *leat.Error
	if errors.As(err, &e) {
		return err
	}
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return leat.Invalid("", "the body is larger than %d bytes", long.Limit)
	}
	return &leat.Error{Kind: leat.KindInvalidArgument, Message: "the body cannot be read: " + err.Error(), Err: err}
}

// diagnose finds the first member of a body that does not fit a message; path is the message's own place. Large bodies are not read a second time.
func diagnose(path string, raw []byte, d protoreflect.MessageDescriptor) error {
	if len(raw) > maxSmallBytes {
		return leat.Invalid("", "the body is not JSON, or does not fit %s", d.Name())
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var body any
	if err := dec.Decode(&body); err != nil {
		return leat.Invalid("", "the body is not JSON: it goes wrong near byte %d", dec.InputOffset())
	}
	if dec.More() {
		return leat.Invalid("", "the body has more than one JSON value: the second begins near byte %d", dec.InputOffset())
	}
	if err := diagnoseMessage(path, body, d); err != nil {
		return err
	}
	return leat.Invalid("", "the body does not fit %s", d.Name())
}

func diagnoseMessage(path string, v any, d protoreflect.MessageDescriptor) error {
	if v == nil {
		return nil
	}
	if strings.HasPrefix(string(d.FullName()), "google.protobuf.") {
		if _, text := v.(string); !text {
			return misfit(path, v, "a string, as JSON writes "+string(d.Name()))
		}
		if protojson.Unmarshal([]byte(fmt.Sprintf("%q", v)), newMessage(d)) != nil {
			return leat.Invalid(path, "%s: %.64q is not a %s", path, v, d.Name())
		}
		return nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		return misfit(path, v, "an object")
	}
	for name, value := range object {
		f := fieldByName(d, name)
		if f == nil {
			return leat.Invalid(join(path, fmt.Sprintf("%.64s", name)), "%.64q is not a member of %s", name, d.Name())
		}
		if err := diagnoseField(join(path, string(f.Name())), value, f); err != nil {
			return err
		}
	}
	return nil
}

func diagnoseField(path string, v any, f protoreflect.FieldDescriptor) error {
	if v == nil || !f.IsList() {
		return diagnoseValue(path, v, f)
	}
	list, ok := v.([]any)
	if !ok {
		return misfit(path, v, "an array")
	}
	for i, item := range list {
		if err := diagnoseValue(fmt.Sprintf("%s[%d]", path, i), item, f); err != nil {
			return err
		}
	}
	return nil
}

func diagnoseValue(path string, v any, f protoreflect.FieldDescriptor) error {
	if v == nil {
		return nil
	}
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return diagnoseMessage(path, v, f.Message())
	case protoreflect.BytesKind:
		if !isText {
			return misfit(path, v, "base64 in a string")
		}
		if !isBase64(text) {
			return leat.Invalid(path, "%s is not base64", path)
		}
	case protoreflect.StringKind:
		if !isText {
			return misfit(path, v, "a string")
		}
	case protoreflect.BoolKind:
		if _, ok := v.(bool); !ok {
			return misfit(path, v, "true or false")
		}
	case protoreflect.EnumKind:
		if isText && f.Enum().Values().ByName(protoreflect.Name(text)) == nil {
			return leat.Invalid(path, "%s: %.64q is not one of %s", path, text, enumNames(f.Enum()))
		}
		if !isText && !isNumber {
			return misfit(path, v, "one of "+enumNames(f.Enum()))
		}
	default:
		if isText {
			number = json.Number(text)
		}
		if n, err := number.Int64(); (!isText && !isNumber) || err != nil || (f.Kind() == protoreflect.Int32Kind && int64(int32(n)) != n) {
			return misfit(path, v, "a whole number of "+f.Kind().String())
		}
	}
	return nil
}

func misfit(path string, v any, want string) error {
	if path == "" {
		path = "the body"
	}
	return leat.Invalid(path, "%s must be %s, not %s", path, want, jsonKind(v))
}

func jsonKind(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return fmt.Sprintf("the number %.40s", v)
	default:
		return "null"
	}
}

func isBase64(s string) bool {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	_, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil
}

func enumNames(e protoreflect.EnumDescriptor) string {
	var names []string
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

func fieldByName(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByJSONName(name); f != nil {
		return f
	}
	return d.Fields().ByName(protoreflect.Name(name))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
