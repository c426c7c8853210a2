// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/auth"
)

// route is what a REST method takes: a message, and which of its members is the body ("*" for all, "" for none).
type route struct {
	method string // of gRPC
	input  protoreflect.MessageType
	body   string
	large  bool // the message may have bytes of the caller's in it
}

// routes are keyed by "GET /v1/…". The gateway passes over query parameters that it does not know; a person who
// mistypes one should hear of it.
type routes map[string]route

func newRoutes() (routes, error) {
	rules := routes{}
	for _, file := range []protoreflect.FileDescriptor{
		leatv1.File_leat_v1_stream_service_proto, leatv1.File_leat_v1_shard_service_proto, leatv1.File_leat_v1_record_service_proto,
		leatv1.File_leat_v1_consumer_service_proto, leatv1.File_leat_v1_resource_service_proto, leatv1.File_leat_v1_account_service_proto,
		leatv1.File_leat_v1_billing_service_proto, leatv1.File_leat_v1_keys_proto, leatv1.File_leat_v1_delivery_service_proto,
		leatv1.File_leat_v1_identity_service_proto, leatv1.File_leat_v1_audit_service_proto, leatv1.File_leat_v1_system_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for k := range methods.Len() {
				if err := rules.add(methods.Get(k)); err != nil {
					return nil, err
				}
			}
		}
	}
	return rules, nil
}

func (q routes) add(m protoreflect.MethodDescriptor) error {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	input, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return fmt.Errorf("grpcapi: %s: %w", m.FullName(), err)
	}
	r := route{"/" + string(m.Parent().FullName()) + "/" + string(m.Name()), input, rule.GetBody(), hasBytes(m.Input(), nil)}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		q[http.MethodGet+" "+p.Get] = r
	case *annotations.HttpRule_Delete:
		q[http.MethodDelete+" "+p.Delete] = r
	case *annotations.HttpRule_Post:
		q[http.MethodPost+" "+p.Post] = r
	case *annotations.HttpRule_Put:
		q[http.MethodPut+" "+p.Put] = r
	case *annotations.HttpRule_Patch:
		q[http.MethodPatch+" "+p.Patch] = r
	default:
		return fmt.Errorf("grpcapi: %s has an HTTP method that this edge does not know", m.FullName())
	}
	return nil
}

// check signs the caller in, before anything of the request is read. Then it refuses query parameters that are no member of the request or have no
// value of its type, and a body that does not fit the member that it stands for. Bodies that are the whole request are checked as they are read.
func (s *Server) check(rules routes) runtime.Middleware {
	return func(next runtime.HandlerFunc) runtime.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			pattern, _ := runtime.HTTPPattern(r.Context())
			to, known := rules[r.Method+" "+strings.ReplaceAll(pattern.String(), "=*}", "}")]
			if !known {
				s.restError(r.Context(), nil, newJSON(), w, r, leat.Errorf(leat.KindInternal, "no route for %s %s", r.Method, pattern))
				return
			}
			who, err := s.signIn(r.Context(), auth.Origin(r, leat.EdgeREST, ""), r.Header.Get("Authorization"), r.Header.Get(accountKey))
			if err != nil {
				s.restError(r.Context(), nil, newJSON(), w, r, s.tell(r.Context(), restCallOf(r.Context()).id, to.method, err))
				return
			}
			ticket := s.tickets.issue(who)
			defer s.tickets.takeBack(ticket)
			r.Header.Set(ticketKey, ticket) // in place of what a caller may have put there
			if body, ok := r.Body.(*restBody); ok && !to.large {
				body.ReadCloser = http.MaxBytesReader(w, body.ReadCloser, maxSmallBytes)
			}
			err = checkParameters(to.input, r.URL.RawQuery)
			if err == nil && to.body != "" && to.body != "*" {
				err = checkBody(to, r)
			}
			if err != nil {
				s.restError(r.Context(), nil, newJSON(), w, r, err)
				return
			}
			next(w, r, params)
		}
	}
}

// checkBody reads a body that is one member of the request, and puts it back.
func checkBody(to route, r *http.Request) error {
	f := to.input.Descriptor().Fields().ByName(protoreflect.Name(to.body))
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return readFault(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	if f == nil || f.Message() == nil || len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if err := countJSON(raw); err != nil {
		return err
	}
	m := newMessage(f.Message())
	if m == nil || protojson.Unmarshal(raw, m) == nil {
		return nil
	}
	return diagnose(to.body, raw, f.Message())
}

func checkParameters(input protoreflect.MessageType, raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return leat.Invalid("", "the query string is malformed")
	}
	for name, given := range values {
		path, ok := memberPath(input.Descriptor(), name)
		if !ok {
			return leat.Invalid(fmt.Sprintf("%.64s", name), "%.64q is not a parameter of this method: /docs lists them", name)
		}
		for _, v := range given {
			if err := runtime.PopulateFieldFromPath(input.New().Interface(), path, v); err != nil {
				return leat.Invalid(path, "%s: %.64q is not a value of its type", path, v)
			}
		}
	}
	return nil
}

// memberPath turns a parameter's name (start.sequenceNumber) into the member's (start.sequence_number).
func memberPath(d protoreflect.MessageDescriptor, name string) (path string, ok bool) {
	for part := range strings.SplitSeq(name, ".") {
		if d == nil {
			return "", false
		}
		f := fieldByName(d, part)
		if f == nil {
			return "", false
		}
		path, d = join(path, string(f.Name())), f.Message()
	}
	return path, true
}

func newMessage(d protoreflect.MessageDescriptor) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil
	}
	return t.New().Interface()
}
