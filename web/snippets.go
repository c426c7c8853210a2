// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// snippet is what a page shows, as a command or a program.
type snippet struct{ ID, Title, Text string }

func (c *Console) rest(path string) string { return "http://" + c.HTTP + "/v1" + path }

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
		fmt.Sprintf(`import boto3

kinesis = boto3.client("kinesis", endpoint_url="http://%s", region_name="%s")
for page in kinesis.get_paginator("list_streams").paginate():
    print(*page["StreamNames"], sep="\n")`, c.HTTP, c.Broker.Region()),
		c.provider(),
		"curl -s "+c.rest("/streams")+c.authorization(),
	)
}

// provider points Terraform at this server.
func (c *Console) provider() string {
	return fmt.Sprintf(`provider "aws" {
  region                      = "%s"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  endpoints {
    kinesis = "http://%s"
  }
}`, c.Broker.Region(), c.HTTP)
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
		fmt.Sprintf(`import boto3

kinesis = boto3.client("kinesis", endpoint_url="http://%s", region_name="%s")
kinesis.put_record(StreamName="%s", PartitionKey="key", Data=b"hello")`, c.HTTP, c.Broker.Region(), d.Name),
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
		fmt.Sprintf("for page in kinesis.get_paginator(\"list_shards\").paginate(StreamName=\"%s\"):\n    for shard in page[\"Shards\"]:\n        print(shard[\"ShardId\"], shard[\"HashKeyRange\"])", d.Name),
		"", "curl -s "+c.rest("/streams/"+d.Name+"/shards")+c.authorization(),
	)
}

func (c *Console) copyShard(d broker.StreamDescription, s *leat.Shard) []snippet {
	id := leat.ShardID(s.Key.Ordinal)
	return snippets(
		fmt.Sprintf("leat get %[1]s --shard %[2]d --from trim-horizon\nleat stream split %[1]s %[2]d", d.Name, s.Key.Ordinal),
		fmt.Sprintf("it = kinesis.get_shard_iterator(StreamName=\"%s\", ShardId=\"%s\",\n                                ShardIteratorType=\"TRIM_HORIZON\")[\"ShardIterator\"]\nkinesis.get_records(ShardIterator=it)", d.Name, id),
		"", fmt.Sprintf("curl -s '%s?start.type=START_TYPE_TRIM_HORIZON'%s", c.rest("/streams/"+d.Name+"/shards/"+id+":iterator"), c.authorization()),
	)
}

func (c *Console) copyData(p *dataPage) []snippet {
	from := map[string]string{"newest": "10m", "oldest": "trim-horizon", "time": `"` + strings.ReplaceAll(p.Time, `"`, "") + `"`, "sequence": "trim-horizon"}[p.From]
	return snippets(
		strings.TrimSpace(fmt.Sprintf("leat get %s --from %s -v", p.Stream.Name, from)),
		fmt.Sprintf("it = kinesis.get_shard_iterator(StreamName=\"%s\", ShardId=\"shardId-000000000000\",\n                                ShardIteratorType=\"TRIM_HORIZON\")[\"ShardIterator\"]\nfor r in kinesis.get_records(ShardIterator=it)[\"Records\"]:\n    print(r[\"PartitionKey\"], r[\"Data\"])", p.Stream.Name),
		"", fmt.Sprintf("curl -s -X POST %s%s \\\n  -d '{\"partitionKey\":\"key\",\"data\":\"aGVsbG8=\"}'", c.rest("/streams/"+p.Stream.Name+"/records"), c.authorization()),
	)
}

func (c *Console) copyRecord(d broker.StreamDescription, ordinal uint64, sequence string) []snippet {
	id := leat.ShardID(ordinal)
	return snippets("",
		fmt.Sprintf("it = kinesis.get_shard_iterator(StreamName=\"%s\", ShardId=\"%s\",\n                                ShardIteratorType=\"AT_SEQUENCE_NUMBER\",\n                                StartingSequenceNumber=\"%s\")[\"ShardIterator\"]\nkinesis.get_records(ShardIterator=it, Limit=1)[\"Records\"][0]", d.Name, id, sequence),
		"", "",
	)
}
