// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// snippet is what a page shows, as a command or a program.
type snippet struct{ ID, Title, Text string }

// here stands for the address by which the browser has reached the server; a page puts it in.
const here = "http://leat.invalid"

// reached is that address: REST and the AWS wire are on the console's own port.
func reached(r *http.Request) string {
	if secure(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (c *Console) rest(path string) string { return here + "/v1" + path }

// boto3 is how a program begins.
func (c *Console) boto3(service string) string {
	return fmt.Sprintf("import boto3\n\n%s = boto3.client(\"%s\", endpoint_url=\"%s\", region_name=\"%s\")\n", service, service, here, c.Broker.Region())
}

// authorization is what curl needs beside the address.
func (c *Console) authorization() string {
	if c.Open {
		return ""
	}
	return ` -H "authorization: Bearer $LEAT_TOKEN"`
}

func snippets(cli, sdk, terraform, curl string) []snippet {
	var all []snippet
	for _, s := range []snippet{{"cli", "CLI", cli}, {"sdk", "SDK", sdk}, {"terraform", "Terraform", terraform}, {"curl", "curl", curl}} {
		if s.Text = strings.TrimSpace(s.Text); s.Text != "" {
			all = append(all, s)
		}
	}
	return all
}

func (c *Console) copyList() []snippet {
	return snippets(
		"leat stream list",
		c.boto3("kinesis")+`for page in kinesis.get_paginator("list_streams").paginate():
    print(*page["StreamNames"], sep="\n")`,
		c.provider(),
		"curl -s "+c.rest("/streams")+c.authorization(),
	)
}

func (c *Console) copyNewStream() []snippet {
	return snippets(
		"leat stream create NAME --on-demand --retention 24h\nleat stream create NAME --shards 4 --retention 24h",
		c.boto3("kinesis")+`kinesis.create_stream(StreamName="NAME", StreamModeDetails={"StreamMode": "ON_DEMAND"})`,
		c.provider()+"\n\nresource \"aws_kinesis_stream\" \"name\" {\n  name             = \"NAME\"\n  retention_period = 24\n  stream_mode_details {\n    stream_mode = \"ON_DEMAND\"\n  }\n}",
		"curl -s -X POST "+c.rest("/streams")+c.authorization()+` -d '{"stream":"NAME","mode":"STREAM_MODE_ON_DEMAND"}'`,
	)
}

// provider points Terraform at this server.
func (c *Console) provider() string {
	return fmt.Sprintf(`provider "aws" {
  region                      = "%s"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  endpoints {
    kinesis = "%s"
  }
}`, c.Broker.Region(), here)
}

func (c *Console) copyStream(d broker.StreamDescription) []snippet {
	shards := fmt.Sprintf("  shard_count      = %d\n", d.OpenShards)
	if d.Mode == leat.ModeOnDemand {
		shards = ""
	}
	create := fmt.Sprintf("leat stream create %s --on-demand", d.Name)
	if d.Mode == leat.ModeProvisioned {
		create = fmt.Sprintf("leat stream create %s --shards %d", d.Name, d.OpenShards)
	}
	return snippets(
		fmt.Sprintf("# look at it\nleat stream describe %[1]s\n\n# put, read, follow\nleat put %[1]s \"hello\"\nleat get %[1]s --from trim-horizon\nleat tail %[1]s -f\n\n# make the same\n%[2]s --retention %[3]dh", d.Name, create, int(d.Retention.Hours())),
		c.boto3("kinesis")+fmt.Sprintf(`kinesis.put_record(StreamName="%s", PartitionKey="key", Data=b"hello")`, d.Name),
		c.provider()+fmt.Sprintf(`

resource "aws_kinesis_stream" "%s" {
  name             = "%s"
%s  retention_period = %d
  stream_mode_details {
    stream_mode = "%s"
  }
}`, terraformName(d.Name), d.Name, shards, int(d.Retention.Hours()), d.Mode),
		fmt.Sprintf("curl -s %s%s\n\n# put a record\ncurl -s -X POST %s%s \\\n  -d '{\"partitionKey\":\"key\",\"data\":\"aGVsbG8=\"}'",
			c.rest("/streams/"+d.Name), c.authorization(), c.rest("/streams/"+d.Name+"/records"), c.authorization()),
	)
}

// terraformName is a name as Terraform's resources can have.
func terraformName(name string) string {
	s := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' {
			return '_'
		}
		return r
	}, name)
	if s[0] >= '0' && s[0] <= '9' {
		return "stream_" + s
	}
	return s
}

func (c *Console) copyShards(d broker.StreamDescription) []snippet {
	return snippets(
		fmt.Sprintf("leat shard list %[1]s\nleat stream scale %[1]s %[2]d", d.Name, d.OpenShards+1),
		c.boto3("kinesis")+fmt.Sprintf("for page in kinesis.get_paginator(\"list_shards\").paginate(StreamName=\"%s\"):\n    for shard in page[\"Shards\"]:\n        print(shard[\"ShardId\"], shard[\"HashKeyRange\"])", d.Name),
		"", "curl -s "+c.rest("/streams/"+d.Name+"/shards")+c.authorization(),
	)
}

func (c *Console) copyScaling(d broker.StreamDescription) []snippet {
	return snippets(
		fmt.Sprintf("leat stream events %[1]s\n\n# by hand\nleat stream scale %[1]s %[2]d", d.Name, d.OpenShards+1),
		c.boto3("kinesis")+fmt.Sprintf("kinesis.update_shard_count(StreamName=\"%s\", TargetShardCount=%d, ScalingType=\"UNIFORM_SCALING\")", d.Name, d.OpenShards+1),
		"", "curl -s "+c.rest("/streams/"+d.Name+"/events")+c.authorization(),
	)
}

// beginning is where a reader of a shard begins.
type beginning struct {
	Type     string // as AWS names it
	Sequence string
	Limit    int // records; 0: a page
}

// readBy is a program that reads a shard.
func (c *Console) readBy(stream, shard string, at beginning) string {
	sequence, limit := "", ""
	if at.Sequence != "" {
		sequence = fmt.Sprintf(",\n                                StartingSequenceNumber=\"%s\"", at.Sequence)
	}
	if at.Limit != 0 {
		limit = fmt.Sprintf(", Limit=%d", at.Limit)
	}
	return c.boto3("kinesis") + fmt.Sprintf(`it = kinesis.get_shard_iterator(StreamName="%s", ShardId="%s",
                                ShardIteratorType="%s"%s)["ShardIterator"]
for r in kinesis.get_records(ShardIterator=it%s)["Records"]:
    print(r["PartitionKey"], r["Data"])`, stream, shard, at.Type, sequence, limit)
}

// readWith is the same with curl: an iterator first, and then a page.
func (c *Console) readWith(stream, shard string, at beginning) string {
	sequence, limit := "", ""
	if at.Sequence != "" {
		sequence = " -d start.sequenceNumber=" + at.Sequence
	}
	if at.Limit != 0 {
		limit = fmt.Sprintf(" -d limit=%d", at.Limit)
	}
	return fmt.Sprintf("it=$(curl -s -G %s%s \\\n  -d start.type=STARTING_POSITION_TYPE_%s%s | jq -r .shardIterator)\ncurl -s -G %s%s --data-urlencode \"shardIterator=$it\"%s",
		c.rest("/streams/"+stream+"/shards/"+shard+":iterator"), c.authorization(), at.Type, sequence, c.rest("/records"), c.authorization(), limit)
}

func (c *Console) copyShard(d broker.StreamDescription, s *leat.Shard) []snippet {
	id, oldest := leat.ShardID(s.Key.Ordinal), beginning{Type: "TRIM_HORIZON"}
	return snippets(
		fmt.Sprintf("leat get %[1]s --shard %[2]d --from trim-horizon\nleat stream split %[1]s %[2]d", d.Name, s.Key.Ordinal),
		c.readBy(d.Name, id, oldest), "", c.readWith(d.Name, id, oldest),
	)
}

func (c *Console) copyData(p *dataPage) []snippet {
	from := map[string]string{"newest": "10m", "oldest": "trim-horizon", "time": shellWord(p.Time), "sequence": "trim-horizon"}[p.From]
	cli := fmt.Sprintf("leat get %s --from %s -v", p.Stream.Name, cmp.Or(from, "10m"))
	shard, at := uint64(0), beginning{Type: "TRIM_HORIZON"}
	if len(p.Shards) > 0 {
		shard = p.Shards[0].Key.Ordinal
	}
	if p.Shard != "" {
		if ordinal, err := leat.ParseShardID(p.Shard); err == nil {
			shard = ordinal
			cli += fmt.Sprintf(" --shard %d", ordinal)
		}
	}
	if p.From == "sequence" && p.Sequence != "" && strings.Trim(p.Sequence, "0123456789") == "" {
		at = beginning{Type: "AT_SEQUENCE_NUMBER", Sequence: p.Sequence}
	}
	id := leat.ShardID(shard)
	return snippets(cli, c.readBy(p.Stream.Name, id, at), "", c.readWith(p.Stream.Name, id, at))
}

func (c *Console) copyRecord(d broker.StreamDescription, ordinal uint64, sequence string, at time.Time) []snippet {
	id, one := leat.ShardID(ordinal), beginning{Type: "AT_SEQUENCE_NUMBER", Sequence: sequence, Limit: 1}
	return snippets(
		fmt.Sprintf("leat get %s --shard %d --from %s --limit 1 -v", d.Name, ordinal, at.UTC().Format(time.RFC3339Nano)),
		c.readBy(d.Name, id, one), "", c.readWith(d.Name, id, one),
	)
}

func (c *Console) copyTail(d broker.StreamDescription) []snippet {
	return snippets("leat tail "+d.Name+" -f",
		c.boto3("kinesis")+fmt.Sprintf(`import time

its = [kinesis.get_shard_iterator(StreamName="%[1]s", ShardId=s["ShardId"], ShardIteratorType="LATEST")["ShardIterator"]
       for s in kinesis.list_shards(StreamName="%[1]s", ShardFilter={"Type": "AT_LATEST"})["Shards"]]
while its:
    pages = [kinesis.get_records(ShardIterator=it) for it in its]
    for page in pages:
        for r in page["Records"]:
            print(r["PartitionKey"], r["Data"])
    its = [page["NextShardIterator"] for page in pages if page.get("NextShardIterator")]
    time.sleep(1)`, d.Name), "", "")
}
