// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// @ts-check

// Creates a stream, puts ten records, reads them back, and deletes the stream.
//
// LEAT_ENDPOINT is the server's gRPC address (127.0.0.1:4568), LEAT_TOKEN its token
// where it asks for one. Exits with 1 when what is read is not what was put.

import { isDeepStrictEqual } from "node:util";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  PutRecordsErrorCode,
  RecordService,
  ShardService,
  StartingPositionType,
  StreamService,
  StreamStatus,
} from "@leatstream/client";

const count = 10;
const patience = 30_000; // milliseconds, for each wait

const transport = createGrpcTransport({
  baseUrl: `http://${process.env.LEAT_ENDPOINT ?? "127.0.0.1:4568"}`,
  defaultTimeoutMs: patience,
  interceptors: [
    (next) => (request) => {
      const token = process.env.LEAT_TOKEN;
      if (token) request.header.set("Authorization", `Bearer ${token}`);
      return next(request);
    },
  ],
});
const streams = createClient(StreamService, transport);
const shards = createClient(ShardService, transport);
const records = createClient(RecordService, transport);

const stream = `typescript-example-${randomUUID().slice(0, 13)}`;
await streams.createStream({ stream, shardCount: 2 });
try {
  await waitUntilActive();
  check(await putRecords(), await readRecords());
} finally {
  await streams.deleteStream({ stream });
}
console.log(`typescript: put ${count} records into ${stream}, read them back, deleted it`);

async function waitUntilActive() {
  const deadline = Date.now() + patience;
  while ((await streams.describeStreamSummary({ stream })).stream?.status !== StreamStatus.ACTIVE) {
    if (Date.now() > deadline) throw new Error(`${stream} is not ACTIVE after ${patience} ms`);
    await sleep(50);
  }
}

/**
 * What was put or read: its place, and what stands there.
 * @typedef {{ shardId: string, sequenceNumber: string, partitionKey: string, data: string }} Found
 */

/**
 * Puts the records, and again those that failed, and returns what stands where.
 * @returns {Promise<Found[]>}
 */
async function putRecords() {
  let todo = Array.from({ length: count }, (_, i) => ({
    partitionKey: `key-${i}`,
    data: Buffer.from(`record ${i} é語\0`),
  }));
  /** @type {Found[]} */
  const stands = [];
  const deadline = Date.now() + patience;
  while (todo.length > 0) {
    const answer = await records.putRecords({ stream, records: todo });
    todo = todo.filter(({ partitionKey, data }, i) => {
      const { shardId, sequenceNumber, errorCode, errorMessage } = answer.records[i];
      if (errorCode === PutRecordsErrorCode.UNSPECIFIED) {
        stands.push({ shardId, sequenceNumber, partitionKey, data: data.toString("hex") });
        return false;
      }
      if (Date.now() > deadline) throw new Error(`${partitionKey} failed: ${errorMessage}`);
      return true;
    });
    if (todo.length > 0) await sleep(100);
  }
  return stands;
}

/**
 * Reads every shard from its beginning to its present end.
 * @returns {Promise<Found[]>}
 */
async function readRecords() {
  /** @type {Found[]} */
  const found = [];
  for (const { shardId } of (await shards.listShards({ stream })).shards) {
    let { shardIterator } = await records.getShardIterator({
      stream,
      shardId,
      start: { type: StartingPositionType.TRIM_HORIZON },
    });
    const deadline = Date.now() + patience;
    while (shardIterator) {
      const page = await records.getRecords({ shardIterator });
      for (const { sequenceNumber, partitionKey, data } of page.records) {
        found.push({ shardId, sequenceNumber, partitionKey, data: Buffer.from(data).toString("hex") });
      }
      if (page.millisBehindLatest === 0n) break;
      if (Date.now() > deadline) throw new Error(`the end of ${shardId} is not reached after ${patience} ms`);
      shardIterator = page.nextShardIterator;
    }
  }
  return found;
}

/**
 * Throws unless each record was read once, where it was put, in order and whole.
 * @param {Found[]} put
 * @param {Found[]} read
 */
function check(put, read) {
  /** @type {(a: Found, b: Found) => number} */
  const byPlace = (a, b) => (a.shardId + a.sequenceNumber < b.shardId + b.sequenceNumber ? -1 : 1);
  const wanted = [...put].sort(byPlace);
  if (put.length !== count || !isDeepStrictEqual(read, wanted)) {
    throw new Error(`put ${JSON.stringify(wanted)}\nread ${JSON.stringify(read)}`);
  }
}
