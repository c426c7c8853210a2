// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// The names of the ABI; doc.go says what they do.
const (
	exportAlloc     = "leat_alloc"
	exportTransform = "leat_transform"
)

const (
	defaultWASMTime   = time.Second
	defaultWASMMemory = 64 << 20
	wasmPage          = 64 << 10
	idleInstances     = 4
)

// wasm asks a module what becomes of records. Instances are kept for the next batch unless something went wrong in them.
type wasm struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	timeout time.Duration

	mu   sync.Mutex
	idle []*instance
}

func newWASM(ctx context.Context, t *spec.Transform, at string) (step, error) {
	memory := t.MemoryBytes
	if memory == 0 {
		memory = defaultWASMMemory
	}
	w := &wasm{timeout: time.Duration(t.TimeoutMillis) * time.Millisecond}
	if w.timeout == 0 {
		w.timeout = defaultWASMTime
	}
	w.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32((memory+wasmPage-1)/wasmPage)).WithCloseOnContextDone(true))
	err := w.compile(ctx, t.Module)
	if err != nil {
		return nil, errors.Join(leat.Invalid(at+".module", "%s.module: %v", at, err), w.runtime.Close(ctx))
	}
	return w, nil
}

// compile compiles the module, checks what it exports and starts it once.
func (w *wasm) compile(ctx context.Context, code []byte) (err error) {
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, w.runtime); err != nil {
		return err
	}
	if code, err = boundTables(code); err != nil {
		return err
	}
	if w.module, err = w.runtime.CompileModule(ctx, code); err != nil {
		return err
	}
	exports := w.module.ExportedFunctions()
	for _, want := range []struct{ name, form string }{{exportAlloc, "[i32] [i32]"}, {exportTransform, "[i32 i32] [i64]"}} {
		f, ok := exports[want.name]
		if !ok {
			return fmt.Errorf("it does not export %s", want.name)
		}
		if got := signature(f); got != want.form {
			return fmt.Errorf("its %s has the type %s, not %s", want.name, got, want.form)
		}
	}
	if len(w.module.ExportedMemories()) != 1 {
		return errors.New("it does not export its memory")
	}
	i, err := w.start(ctx)
	if err == nil {
		w.give(i)
	}
	return err
}

func signature(f api.FunctionDefinition) string {
	names := func(types []api.ValueType) (all []string) {
		for _, t := range types {
			all = append(all, api.ValueTypeName(t))
		}
		return all
	}
	return fmt.Sprint(names(f.ParamTypes()), " ", names(f.ResultTypes()))
}

// instance is one life of the module.
type instance struct {
	module           api.Module
	alloc, transform api.Function
	input            []byte
}

// start makes an instance.
func (w *wasm) start(ctx context.Context) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, max(w.timeout, 10*time.Second)) // a runtime may take its time to begin
	defer cancel()
	m, err := w.runtime.InstantiateModule(ctx, w.module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, fmt.Errorf("it does not start: %w", err)
	}
	return &instance{module: m, alloc: m.ExportedFunction(exportAlloc), transform: m.ExportedFunction(exportTransform)}, nil
}

func (w *wasm) take(ctx context.Context) (*instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle); n > 0 {
		i := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return i, nil
	}
	return w.start(ctx)
}

func (w *wasm) give(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) < idleInstances {
		w.idle = append(w.idle, i)
		return
	}
	_ = i.module.Close(context.Background()) // its memory is all that it has
}

func (w *wasm) close() error { return w.runtime.Close(context.Background()) }

func (w *wasm) apply(ctx context.Context, b *batch, in []item) ([]item, error) {
	i, err := w.take(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]item, 0, len(in))
	for at := range in {
		if b.over(in[at].source) {
			continue
		}
		next, bad, err := w.one(ctx, i, b, &in[at])
		if cause := context.Cause(ctx); cause != nil {
			_ = i.module.Close(context.WithoutCancel(ctx)) // it was interrupted
			return nil, cause
		}
		switch {
		case err != nil: // the instance is spoilt
			b.fail(&in[at], spec.ProcessingFailed, "WASM.Error", "%v", err)
			_ = i.module.Close(ctx) // what is wrong with it has been said
			if i, err = w.start(ctx); err != nil {
				return nil, err
			}
		case bad != nil:
			b.fail(&in[at], bad.kind, bad.code, "%s", bad.message)
		case b.grow(in[at].source, next):
			out = append(out, next...)
		}
	}
	w.give(i)
	return out, nil
}

// one asks about one item. An error means that the instance is of no more use.
func (w *wasm) one(ctx context.Context, i *instance, b *batch, it *item) ([]item, *failure, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	r := &b.records[it.source]
	i.input = appendBytes(i.input[:0], it.data)
	i.input = appendBytes(i.input, []byte(r.PartitionKey))
	i.input = appendBytes(i.input, []byte(r.Sequence))
	i.input = binary.LittleEndian.AppendUint64(i.input, uint64(r.Time))
	answer, err := i.call(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, nil, fmt.Errorf("the module takes more than %v", w.timeout)
	}
	if err != nil {
		return nil, nil, err
	}
	out, bad, err := readModule(answer, it)
	if err != nil {
		return nil, nil, fmt.Errorf("the module's answer cannot be read: %w", err)
	}
	return out, bad, nil
}

// call passes the input and returns the answer, a view of the module's memory.
func (i *instance) call(ctx context.Context) ([]byte, error) {
	at, err := i.alloc.Call(ctx, uint64(len(i.input)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", exportAlloc, err)
	}
	if !i.module.Memory().Write(uint32(at[0]), i.input) {
		return nil, fmt.Errorf("%s gives memory that is not there", exportAlloc)
	}
	packed, err := i.transform.Call(ctx, uint64(uint32(at[0])), uint64(len(i.input)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", exportTransform, err)
	}
	answer, ok := i.module.Memory().Read(uint32(packed[0]>>32), uint32(packed[0]))
	if !ok {
		return nil, fmt.Errorf("%s answers with memory that is not there", exportTransform)
	}
	return answer, nil
}

func appendBytes(b, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

// cursor reads an answer.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) count() int {
	if len(c.b) < 4 {
		c.bad = true
		return 0
	}
	n := binary.LittleEndian.Uint32(c.b)
	c.b = c.b[4:]
	return int(n)
}

// bytes returns a copy: the module's memory is used again.
func (c *cursor) bytes() []byte {
	n := c.count()
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	data := append(make([]byte, 0, n), c.b[:n]...)
	c.b = c.b[n:]
	return data
}

// readModule reads an answer of the ABI.
func readModule(answer []byte, it *item) (out []item, bad *failure, err error) {
	if len(answer) == 0 {
		return nil, nil, errors.New("it is empty")
	}
	c := &cursor{b: answer[1:]}
	switch answer[0] {
	case 0:
		if out, err = c.items(it); err != nil {
			return nil, nil, err
		}
	case 1:
	case 2:
		bad = failed("WASM.ProcessingFailed", "%s", printable(c.bytes()))
	default:
		return nil, nil, fmt.Errorf("it begins with the result %d", answer[0])
	}
	if c.bad || len(c.b) > 0 {
		return nil, nil, errors.New("it is cut off, or something follows it")
	}
	return out, bad, nil
}

func printable(b []byte) string { return string([]rune(string(b))) } // what is no UTF-8 becomes U+FFFD

func (c *cursor) items(it *item) (out []item, err error) {
	n := c.count()
	if n > MaxOutputs {
		return nil, fmt.Errorf("it has %d records; %d are allowed", n, MaxOutputs)
	}
	for range n {
		next := *it
		next.data = c.bytes()
		keys := c.count()
		if c.bad || keys > len(c.b)/8 {
			c.bad = true
			return nil, nil
		}
		if keys > 0 {
			next.lambda = make(map[string]string, keys)
		}
		for range keys {
			name := printable(c.bytes())
			next.lambda[name] = printable(c.bytes())
		}
		if n > 1 {
			next.origin = next.data
		}
		out = append(out, next)
	}
	return out, nil
}
