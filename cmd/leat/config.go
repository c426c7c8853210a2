// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"github.com/leatstream/leat"
)

// configFlag is a YAML file with the flags of a server, by their names without the dashes. Flags and the environment
// go before it.
type configFlag struct {
	Config configFile `name:"config" takes:"a YAML file" placeholder:"FILE" env:"LEAT_CONFIG" help:"A YAML file with any of these flags by name, such as data-dir: /var/lib/leat. Flags and environment go before it."`
}

// serversFile is the same file for a command that works on what the servers stand on. No variable names it: LEAT_CONFIG would give such a
// command a database unasked.
type serversFile struct {
	Config configFile `name:"config" placeholder:"FILE" help:"The YAML file of the servers, for the database, the bucket and the keys that it names. Flags and environment go before it."`
}

// configFile is the name of such a file.
type configFile string

// BeforeResolve has the file answer for the flags that are not given. Where LEAT_CONFIG is set kong calls it for the flags of commands
// that are not being called as well: their file is nobody's.
func (configFile) BeforeResolve(k *kong.Context, trace *kong.Path) error {
	if called := k.Selected(); called == nil || !slices.Contains(called.Flags, trace.Flag) {
		return nil
	}
	name := string(k.FlagValue(trace.Flag).(configFile)) //nolint:forcetypeassert // the flag is of this type
	settings, err := loadYAML(name)
	if err == nil {
		err = settings.Validate(k.Model)
	}
	if err != nil {
		return leat.Invalid("config", "--config %s: %v", name, err)
	}
	k.AddResolver(settings)
	return nil
}

// yamlFile answers kong's questions about flags from a YAML file.
type yamlFile map[string]any

// loadYAML reads a configuration file; an empty one is fine. No error shows a value: it may be a secret.
func loadYAML(name string) (yamlFile, error) {
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return nil, fmt.Errorf("%w: give a file that this process may read", err)
	}
	var all any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("the configuration file is no YAML (%w): write settings as name: value", err)
	}
	if all == nil {
		return yamlFile{}, nil
	}
	settings, ok := all.(map[string]any)
	if !ok {
		return nil, errors.New("the configuration file has no settings: write them as name: value")
	}
	return settings, nil
}

// Validate refuses names that no setting of a server has, so that a slip does not pass for a default. One file may serve
// both `leat dev` and `leat serve`.
func (f yamlFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, command := range app.Children {
		if !configured(command) {
			continue
		}
		for _, flag := range command.Flags {
			known[flag.Name] = true
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !known[name] {
			errs = append(errs, leat.Invalid(name, "%s is no setting: see `leat serve --help` for their names", name))
		}
	}
	return errors.Join(errs...)
}

// configured tells whether a command is a server, whose flags are the settings of a configuration file: it says what its file takes.
func configured(command *kong.Node) bool {
	return slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == "config" && f.Tag.Has("takes") })
}

// Resolve returns the file's value of a flag.
func (f yamlFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil //nolint:nilnil // the environment goes before the file, and kong asks nonetheless
		}
	}
	switch v := f[flag.Name].(type) {
	case nil:
		return nil, nil //nolint:nilnil // kong's way to say that this resolver knows nothing of the flag
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		return nil, leat.Invalid(flag.Name, "configuration file: %s must be a value or a list", flag.Name)
	default:
		return fmt.Sprint(v), nil
	}
}
