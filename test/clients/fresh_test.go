// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/leatstream/leat/api/leat/v1" // registers the protos
)

// python is Debian's: the one that the generated code must load with. Others may come first in PATH.
const python = "/usr/bin/python3"

// TestPythonFitsTheProtos loads every module with Debian's libraries and compares the descriptors in them with those of
// the Go code, which `make lint` keeps fresh.
func TestPythonFitsTheProtos(t *testing.T) {
	const dump = `
import base64, importlib, json, pkgutil, sys
import leat.v1
from google.protobuf import descriptor
files = {}
for module in pkgutil.iter_modules(leat.v1.__path__, "leat.v1."):
    code = importlib.import_module(module.name)
    if module.name.endswith("_pb2"):
        files[code.DESCRIPTOR.name] = base64.b64encode(code.DESCRIPTOR.serialized_pb).decode()
    for name in getattr(code, "DESCRIPTOR", None) and code.DESCRIPTOR.services_by_name or ():
        assert hasattr(leat.v1, name + "Stub"), name
json.dump(files, sys.stdout)
`
	cmd := exec.CommandContext(t.Context(), python, "-c", dump)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+root(t, "api/python"), "PYTHONDONTWRITEBYTECODE=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var files map[string]string
	if err := json.Unmarshal(out, &files); err != nil {
		t.Fatal(err)
	}
	compare(t, files, base64.StdEncoding)
}

// TestTypeScriptFitsTheProtos compares the descriptors in the generated modules with those of the Go code.
func TestTypeScriptFitsTheProtos(t *testing.T) {
	modules, err := filepath.Glob(filepath.Join(root(t, "api/typescript/gen"), "leat/v1/*_pb.js"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(root(t, "api/typescript/gen"), "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	embedded := regexp.MustCompile(`fileDesc\("([^"]+)"`)
	for _, path := range modules {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := embedded.FindSubmatch(code)
		if m == nil {
			t.Fatalf("%s has no descriptor", path)
		}
		base := filepath.Base(path)
		files["leat/v1/"+strings.TrimSuffix(base, "_pb.js")+".proto"] = string(m[1])
		if !strings.Contains(string(index), `"./leat/v1/`+base+`"`) {
			t.Errorf("index.js does not export %s", base)
		}
	}
	compare(t, files, base64.RawStdEncoding)
}

// compare holds the descriptors of a client against those of the Go code: messages, fields, enums and services.
func compare(t *testing.T, files map[string]string, encoding *base64.Encoding) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("leat.v1", func(f protoreflect.FileDescriptor) bool {
		raw, err := encoding.DecodeString(files[f.Path()])
		if err != nil {
			t.Fatalf("%s: %v", f.Path(), err)
		}
		delete(files, f.Path())
		got := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, got); err != nil {
			t.Fatalf("%s: %v", f.Path(), err)
		}
		if diff := cmp.Diff(bare(protodesc.ToFileDescriptorProto(f)), bare(got), protocmp.Transform()); diff != "" {
			t.Errorf("%s is stale, run make clients (-proto +client):\n%s", f.Path(), diff)
		}
		return true
	})
	for path := range files {
		t.Errorf("%s is of no proto: run make clients", path)
	}
}

// bare leaves out what clients are generated without (options, and the imports that only they need) and what
// generators drop as it can be told from the rest.
func bare(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f.Name, f.Options, f.Dependency = nil, nil, nil
	for _, m := range f.GetMessageType() {
		m.Options = nil
		bareFields(m)
	}
	for _, s := range f.GetService() {
		for _, method := range s.GetMethod() {
			method.Options = nil
		}
	}
	return f
}

// bareFields does not touch the options of nested messages: they tell that one is a map's entry.
func bareFields(m *descriptorpb.DescriptorProto) {
	for _, field := range m.GetField() {
		field.Options, field.JsonName = nil, nil
	}
	for _, nested := range m.GetNestedType() {
		bareFields(nested)
	}
}

// root is a path from the module's root.
func root(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
