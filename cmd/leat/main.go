// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Command leat is Leat: a server in one binary, and the command line that uses one.
//
// A command is a struct with its flags and arguments and a Run method; commands are listed in cli.go. What a command
// finds goes to standard output, as a table or with -o json as one JSON object a line; everything else, progress and
// errors, goes to standard error. An error is one line that says what to do.
//
// Exit status: 0 done; 1 failed, in whole or in part; 2 called wrongly; 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/leatstream/leat"
)

// version is set by the linker; commit too, in a release, which is the same bytes wherever it is built.
var version, commit = "dev", ""

// The exit statuses.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	// The first signal asks for an end, the second one forces it.
	ctx, stop := signal.NotifyContext(context.Background(), ends()...)
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}, startLocal)
	stop()
	os.Exit(code)
}

// ends are the signals that ask for an end. The hangup of a terminal is one unless whoever started the process had it ignored, as nohup does.
func ends() []os.Signal {
	asks := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		asks = append(asks, syscall.SIGHUP)
	}
	return asks
}

// terminal is what a command talks to.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// input is standard input until ctx ends: then a read fails, though it waits for what may never come.
func (t *terminal) input(ctx context.Context) io.Reader { return input{ctx, t.in} }

type input struct {
	ctx context.Context
	in  io.Reader
}

func (i input) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	own := make([]byte, len(b)) // a read that is given up goes on, while b is the caller's again
	done := make(chan result, 1)
	go func() {
		n, err := i.in.Read(own)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(b, own[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}

// isTerminal tells whether a person sits at one end.
func isTerminal(end any) bool {
	f, ok := end.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// exit is what kong asks for after --help.
type exit struct{ code int }

// run carries out one command line. local starts the server that `leat bench` measures when none is named.
func run(ctx context.Context, args []string, t *terminal, local localServer) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exit:
			code = e.code
		default:
			panic(e)
		}
	}()
	var c cli
	parser := newParser(&c,
		kong.Writers(t.out, t.err),
		kong.Exit(func(code int) { panic(exit{code}) }),
		kong.Bind(t, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), local),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	k, err := parser.Parse(args)
	if err != nil {
		return usage(t, err)
	}
	return report(ctx, t, k.Run())
}

// newParser returns the parser of command lines.
func newParser(c *cli, more ...kong.Option) *kong.Kong {
	parser, err := kong.New(c, append(more,
		kong.Name("leat"),
		kong.Description("Leat is Kinesis that you own: durable, ordered, replayable streams."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)...)
	if err != nil {
		panic(err) // the commands contradict each other: no input can mend that
	}
	return parser
}

// usage says what is wrong with a command line, and where to look.
func usage(t *terminal, err error) int {
	path := "leat"
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if s := p.Context.Path; len(s) > 0 && p.Context.Selected() != nil {
			path = p.Context.Selected().FullPath()
		}
	}
	fmt.Fprintf(t.err, "leat: %s (see `%s --help`)\n", oneLine(err), path)
	return exitUsage
}

// report prints an error with its remedy and returns the exit status.
func report(ctx context.Context, t *terminal, err error) int {
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || leat.KindOf(err) == leat.KindCanceled) {
		fmt.Fprintln(t.err, "leat: interrupted")
		return exitInterrupted
	}
	text := oneLine(err)
	if what := remedy(err); what != "" {
		text = strings.TrimSuffix(text, ".") + what
	}
	fmt.Fprintf(t.err, "leat: %s\n", text)
	return exitFailed
}

// oneLine says an error on one line.
func oneLine(err error) string {
	var e *leat.Error
	text := err.Error()
	if errors.As(err, &e) && e.Op != "" && e.Message != "" {
		text = strings.Replace(text, e.Op+": "+e.Message, e.Message, 1) // the operation is the API's name, not the command's
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")), " ")
}

// remedy says what to do about an error that does not say so itself.
func remedy(err error) string {
	var e *leat.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch {
	case e.Kind == leat.KindUnavailable && e.Op == "Dial":
		return ": start a server with `leat dev` or set --endpoint"
	case e.Kind == leat.KindUnauthenticated:
		return ": set --token or LEAT_TOKEN"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Access key"):
		return ": see `leat key list`"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Delivery stream "):
		return ": see `leat delivery list`"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Account "):
		return ": see `leat account list`"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Role "):
		return ": see `leat role list`"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Token "):
		return ": see `leat token list`"
	case e.Kind == leat.KindNotFound && strings.HasPrefix(e.Message, "Node "):
		return ": see `leat node list`"
	case e.Kind == leat.KindNotFound && strings.Contains(e.Message, "policy"):
		return ": set one with `leat stream policy NAME --put FILE`"
	case e.Kind == leat.KindNotFound && strings.Contains(strings.ToLower(e.Message), "consumer"):
		return ": see `leat consumer list`"
	case e.Kind == leat.KindNotFound:
		return ": see `leat stream list`, or make it with `leat stream create`"
	case e.Kind == leat.KindInternal:
		return ": the server's log says more"
	}
	return ""
}
