// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package arrows_test

// rule says what a package may import beyond the standard library. Paths are
// relative to the module; "." is its root, "x/..." is x and all below it.
type rule struct {
	local  []string // Leat's packages
	tests  []string // more of Leat's packages, for its test files
	third  []string // other modules' packages, for all files but tests
	reason string   // why this arrow, where the list does not tell
}

// anyModule allows whatever go.mod names.
var anyModule = []string{"..."}

// harness is what every package's tests may use.
var harness = []string{"internal/testproc", "internal/pgtest", "internal/s3test", "internal/ducktest", "internal/oidctest", "internal/otlptest", "internal/tlstest"}

// wiring marks the only places that may put all parts together.
var wiring = []string{"..."}

// rules has one entry for each package, from the bottom up. A package matches
// the longest key.
var rules = map[string]rule{
	// The vocabulary imports the standard library alone.
	".": {},

	// The native API and who speaks it from outside: nothing of the server.
	"api/leat/v1": {third: anyModule, reason: "generated"},
	"api/client": {
		local: []string{".", "api/leat/v1", "internal/wiremem"},
		tests: []string{"api/leattest"},
		third: anyModule,
	},
	"api/leattest": {
		local: wiring, third: anyModule,
		reason: "an in-process server for other people's tests: wiring, as cmd/leat is",
	},

	// The engine of one node knows no server, no SQL, no wire.
	"shardstore/segment": {local: []string{"."}, third: []string{"github.com/klauspost/compress/..."}},
	"shardstore/blob": {
		local: []string{"."},
		tests: []string{"shardstore/blob/..."},
		third: []string{"golang.org/x/..."},
	},
	"shardstore/blob/s3": {
		local: []string{".", "shardstore/blob"},
		tests: []string{"shardstore/blob/..."},
		third: anyModule,
	},
	"shardstore/blob/disk": {
		local: append([]string{"internal/directio"}, driver.local...), tests: driver.tests, third: driver.third,
	},
	"shardstore/blob/mem":      driver,
	"shardstore/blob/fault":    driver,
	"shardstore/blob/blobtest": {local: []string{".", "shardstore/blob", "shardstore/blob/fault"}, third: anyModule, reason: "the suite of the drivers"},
	"shardstore/wal": {
		local: []string{".", "shardstore/segment", "shardstore/blob", "internal/directio"},
		tests: []string{"shardstore/..."},
		third: []string{"golang.org/x/..."},
	},
	"shardstore/wal/waltest": {local: []string{".", "shardstore/segment", "shardstore/blob", "shardstore/wal"}, third: anyModule, reason: "the suite of the drivers"},
	"shardstore": {
		local: []string{".", "shardstore/segment", "shardstore/wal", "shardstore/blob"},
		tests: []string{"shardstore/..."},
		third: []string{"golang.org/x/...", "github.com/klauspost/compress/...", "github.com/prometheus/client_golang/..."},
	},

	// Harnesses and small parts.
	"internal/wiremem":  {third: []string{"google.golang.org/grpc/...", "google.golang.org/protobuf/..."}},
	"internal/directio": {third: []string{"golang.org/x/..."}},
	"internal/tracing":  {local: []string{"."}, third: anyModule, reason: "the one place that knows OpenTelemetry's SDK"},
	"internal/jqlimit":  {third: []string{"github.com/itchyny/gojq"}},
	"internal/testproc": {},
	"internal/pgtest":   {local: []string{"internal/testproc"}, third: anyModule},
	"internal/ducktest": {reason: "standard library alone"},
	"internal/oidctest": {third: []string{"github.com/go-jose/..."}},
	"internal/otlptest": {third: anyModule},
	"internal/tlstest":  {reason: "standard library alone"},
	"internal/s3test":   {local: []string{"internal/testproc"}, third: anyModule},
	"internal/plan":     {local: []string{"."}, reason: "arithmetic"},
	"internal/sqldb":    {local: []string{".", "internal/tracing"}, third: anyModule},
	"internal/cli":      {local: wiring, third: anyModule, reason: "the commands of cmd/leat"},

	// The control plane. It satisfies the interfaces that the engine declares.
	"server/journal": {
		local:  []string{".", "shardstore/blob"},
		tests:  []string{"shardstore/..."},
		third:  []string{"golang.org/x/..."},
		reason: "entries in the bucket, nothing of the tables",
	},
	"server/catalog": {
		local: []string{".", "internal/sqldb", "shardstore", "shardstore/blob", "server/journal"},
		tests: []string{"shardstore/...", "server/masterkey"},
		third: anyModule,
	},
	"server/rebuild": {
		local:  []string{".", "shardstore", "shardstore/wal", "shardstore/segment", "shardstore/blob", "server/catalog", "server/journal"},
		tests:  []string{"internal/sqldb", "shardstore/..."},
		third:  []string{"golang.org/x/..."},
		reason: "a catalog from the bucket: it reads both",
	},
	"server/backup": {
		local:  []string{".", "internal/sqldb", "shardstore/blob", "billing", "server/audit", "server/catalog", "server/delivery", "server/journal"},
		third:  []string{"github.com/klauspost/compress/zstd"},
		reason: "a file of the tables, whose owners migrate them",
	},
	"server/cluster": {
		local: []string{".", "internal/sqldb", "shardstore", "shardstore/wal", "shardstore/segment", "shardstore/blob", "server/catalog"},
		tests: []string{"shardstore/..."},
		third: anyModule,
	},
	"server/auth": {local: []string{".", "internal/sqldb", "server/catalog", "server/masterkey", "server/policy"}, third: anyModule},
	"server/doctor": {
		local:  []string{".", "internal/sqldb", "shardstore/blob", "shardstore/blob/s3"},
		tests:  []string{"shardstore/blob/..."},
		reason: "it looks at what a server stands on, and knows no server",
	},
	"server/audit": {local: []string{".", "internal/sqldb"}, third: anyModule, reason: "rows and how they are found"},
	"server/datapoints": {
		local: []string{".", "internal/sqldb"}, third: []string{"github.com/prometheus/client_golang/..."}, reason: "rows of minutes and how they are found",
	},
	"server/policy":    {local: []string{"."}, reason: "decides, and knows nothing"},
	"server/masterkey": {local: []string{"."}, reason: "secrets are wrapped with the standard library alone"},
	"server/keyring": {
		local:  []string{".", "server/catalog", "server/journal", "server/masterkey", "shardstore", "shardstore/blob", "shardstore/segment"},
		tests:  []string{"internal/sqldb", "shardstore/..."},
		third:  []string{"golang.org/x/..."},
		reason: "the engine's keys, from the bucket and the master key",
	},
	"server/forward/internalv1": {third: anyModule, reason: "generated"},
	"server/forward": {
		local: []string{".", "internal/tracing", "internal/wiremem", "shardstore", "server/forward/internalv1"},
		tests: []string{"shardstore/...", "internal/sqldb", "api/leat/v1", "server/auth", "server/broker", "server/catalog", "server/cluster", "server/grpcapi"},
		third: anyModule,
	},
	"billing/rating": {local: []string{"."}, third: []string{"github.com/shopspring/decimal", "gopkg.in/yaml.v3"}, reason: "a pure function"},
	"billing": {
		local: []string{".", "internal/sqldb", "billing/rating", "server/catalog", "shardstore", "shardstore/segment", "shardstore/blob"},
		tests: []string{"shardstore/...", "server/masterkey"},
		third: anyModule, reason: "concrete over sqldb; it reads the catalog's usage in its own transactions",
	},

	// The broker decides; it knows no transport.
	"server/broker": {
		local: []string{".", "internal/tracing", "billing", "billing/rating", "shardstore", "server/catalog", "server/cluster", "server/audit", "server/datapoints", "server/auth", "server/masterkey", "server/delivery/spec", "server/policy"},
		tests: []string{"shardstore/...", "internal/sqldb"},
		third: []string{"golang.org/x/...", "github.com/prometheus/client_golang/..."},
	},
	"server/scaler": {
		local:  []string{".", "server/broker", "server/catalog"},
		tests:  []string{"api/leat/v1", "api/client", "api/leattest", "server"},
		reason: "on-demand scaling decides by the broker's counts and acts through it",
	},
	// Delivery: what a delivery stream is told (spec), pure parts over it, and the engine.
	"server/delivery/spec":       {local: []string{"."}, reason: "vocabulary"},
	"server/delivery/objectname": {local: []string{".", "server/delivery/spec"}, reason: "no I/O"},
	"server/delivery/encode":     {local: []string{".", "server/delivery/spec"}, third: anyModule},
	"server/delivery/transform":  {local: []string{".", "internal/jqlimit", "server/delivery/spec"}, tests: []string{"server/delivery/..."}, third: anyModule},
	"server/delivery": {
		local: []string{".", "internal/sqldb", "internal/tracing", "shardstore", "shardstore/blob", "server/catalog", "server/journal", "server/broker", "server/masterkey", "server/delivery/..."},
		tests: []string{"shardstore/...", "server/cluster", "billing", "billing/rating"},
		third: anyModule,
	},

	"server/awswire": {local: []string{".", "server/auth"}, reason: "what the AWS edges have in common"},

	// The edges translate; they know the broker and not each other.
	"server/grpcapi":    {local: edge("api/leat/v1", "billing", "billing/rating", "internal/wiremem", "server/audit"), tests: engine, third: anyModule},
	"server/kinesis":    {local: edge("server/awswire"), tests: engine, third: anyModule},
	"server/cloudwatch": {local: edge("server/awswire", "server/datapoints"), tests: engine, third: anyModule},
	"server/firehose":   {local: edge("server/awswire"), tests: append([]string{"server/delivery/objectname"}, engine...), third: anyModule},
	"web":               {local: edge("internal/jqlimit", "server/delivery", "billing", "billing/rating", "server/audit", "server/policy"), tests: engine, third: anyModule},

	// Wiring. Nothing below may import these.
	"server":         {local: wiring, third: anyModule},
	"cmd/leat":       {local: wiring, third: anyModule},
	"tools/sbom":     {reason: "reads a binary"},
	"tools/licences": {reason: "reads modules"},
	"test/...":       {local: wiring, third: anyModule},
}

// driver is an object store over what the standard library offers.
var driver = rule{
	local: []string{".", "shardstore/blob"},
	tests: []string{"shardstore/blob/..."},
	third: []string{"golang.org/x/..."},
}

// engine is what an edge's tests run against.
var engine = []string{"shardstore/...", "internal/sqldb", "server/catalog", "server/cluster"}

// edge is what a transport may import.
func edge(more ...string) []string {
	return append([]string{".", "internal/tracing", "server/broker", "server/auth", "server/delivery/spec"}, more...)
}

// topmost are the packages that no package below the wiring may import, so that
// a mistake in the table above cannot allow it.
var topmost = []string{"server", "cmd/...", "test/...", "internal/cli", "api/leattest"}
