// A walk through Kinesis with the AWS SDK for JavaScript, which speaks HTTP/2 without TLS to an http:// endpoint:
//
//	node walk.mjs http://127.0.0.1:4567
//
// It ends at the first answer that is not what it should be.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DeleteStreamCommand,
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  ListTagsForResourceCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  SplitShardCommand,
  SubscribeToShardCommand,
  paginateListStreams,
  waitUntilStreamExists,
  waitUntilStreamNotExists,
} from "@aws-sdk/client-kinesis";

const kinesis = new KinesisClient({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "any", secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "any" },
  maxAttempts: 1,
});
const call = (command) => kinesis.send(command);

const StreamName = "js";
const StreamARN = "arn:aws:kinesis:us-east-1:000000000000:stream/js";
const FIRST = "shardId-000000000000";
const utf8 = (bytes) => new TextDecoder().decode(bytes);
const waits = { client: kinesis, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

async function until(what, ask) {
  for (const deadline = Date.now() + 60_000; !(await ask()); await pause(20)) {
    assert.ok(Date.now() < deadline, `not in time: ${what}`);
  }
}
const active = () =>
  until("an active stream", async () => {
    const { StreamDescriptionSummary: s } = await call(new DescribeStreamSummaryCommand({ StreamName }));
    return s.StreamStatus === "ACTIVE";
  });

// A stream.
await assert.rejects(call(new DescribeStreamSummaryCommand({ StreamName })), ResourceNotFoundException);
await call(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
await active();
assert.equal((await waitUntilStreamExists(waits, { StreamName })).state, "SUCCESS");
await assert.rejects(call(new CreateStreamCommand({ StreamName, ShardCount: 1 })), ResourceInUseException);
const names = [];
for await (const page of paginateListStreams({ client: kinesis }, { Limit: 1 })) names.push(...page.StreamNames);
assert.deepEqual(names, [StreamName]);
const { StreamDescriptionSummary: summary } = await call(new DescribeStreamSummaryCommand({ StreamARN }));
assert.equal(summary.StreamARN, StreamARN);
assert.ok(Math.abs(Date.now() - summary.StreamCreationTimestamp) < 3_600_000, `created ${summary.StreamCreationTimestamp}`);
await call(new AddTagsToStreamCommand({ StreamName, Tags: { team: "one" } }));
assert.deepEqual((await call(new ListTagsForResourceCommand({ ResourceARN: StreamARN }))).Tags, [{ Key: "team", Value: "one" }]);

// Records.
const Data = Uint8Array.from({ length: 256 }, (_, i) => i);
const put = await call(new PutRecordCommand({ StreamName, PartitionKey: "ключ", Data }));
assert.equal(put.ShardId, FIRST);
const many = Array.from({ length: 300 }, (_, i) => ({ PartitionKey: `${i}`, Data: Buffer.from(`record ${i}`) }));
const batch = await call(new PutRecordsCommand({ StreamARN, Records: many }));
assert.equal(batch.FailedRecordCount, 0);
let { ShardIterator } = await call(new GetShardIteratorCommand({ StreamName, ShardId: FIRST, ShardIteratorType: "TRIM_HORIZON" }));
const got = [];
while (got.length < 301) {
  const page = await call(new GetRecordsCommand({ ShardIterator, Limit: 100 }));
  assert.ok(page.Records.length > 0, "an empty page before the end");
  got.push(...page.Records);
  ShardIterator = page.NextShardIterator;
}
assert.deepEqual([...got[0].Data], [...Data]);
assert.equal(got[0].PartitionKey, "ключ");
assert.deepEqual(got.slice(1).map((r) => utf8(r.Data)), many.map((r) => `${r.Data}`));
assert.deepEqual(got.slice(1).map((r) => r.SequenceNumber), batch.Records.map((r) => r.SequenceNumber));

// A subscription: what was there, what comes, and the end of the shard with its children.
const { Consumer } = await call(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "c" }));
const { ConsumerARN } = Consumer;
await until("an active consumer", async () => {
  const { ConsumerDescription: d } = await call(new DescribeStreamConsumerCommand({ ConsumerARN }));
  return d.ConsumerStatus === "ACTIVE";
});
const subscribe = new SubscribeToShardCommand({ ConsumerARN, ShardId: FIRST, StartingPosition: { Type: "TRIM_HORIZON" } });
const { EventStream } = await call(subscribe);
await assert.rejects(call(subscribe), ResourceInUseException);
const pushed = [];
let asked = false;
let children;
for await (const { SubscribeToShardEvent: event } of EventStream) {
  pushed.push(...event.Records);
  assert.equal(event.ContinuationSequenceNumber === undefined, (event.ChildShards ?? []).length > 0, JSON.stringify(event));
  if (pushed.length === 301 && !asked) {
    asked = true;
    await call(new PutRecordCommand({ StreamName, PartitionKey: "k", Data: Buffer.from("pushed") }));
    await call(new SplitShardCommand({ StreamName, ShardToSplit: FIRST, NewStartingHashKey: "1000" }));
  }
  children = event.ChildShards;
  if (event.ContinuationSequenceNumber === undefined) break;
}
assert.deepEqual(pushed.map((r) => utf8(r.Data)), [...got.map((r) => utf8(r.Data)), "pushed"]);
await active();
const { Shards } = await call(new ListShardsCommand({ StreamName }));
assert.deepEqual(children.map((c) => c.ShardId).sort(), Shards.slice(1).map((s) => s.ShardId));
assert.deepEqual(children.map((c) => c.ParentShards), [[FIRST], [FIRST]]);

await call(new DeregisterStreamConsumerCommand({ ConsumerARN }));
await call(new DeleteStreamCommand({ StreamName, EnforceConsumerDeletion: true }));
assert.equal((await waitUntilStreamNotExists(waits, { StreamName })).state, "SUCCESS");
kinesis.destroy();
console.log(`the walk is done with ${kinesis.config.requestHandler.constructor.name}`);
