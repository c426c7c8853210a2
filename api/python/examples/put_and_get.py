# Copyright The Leat Authors
# SPDX-License-Identifier: Apache-2.0

"""Creates a stream, puts ten records, reads them back, and deletes the stream.

LEAT_ENDPOINT is the server's gRPC address (127.0.0.1:4568), LEAT_TOKEN its token
where it asks for one. Exits with 1 when what is read is not what was put.
"""

import os
import sys
import time
import uuid

import grpc

from leat import v1

COUNT = 10
PATIENCE = 30  # seconds, for each wait


def main():
    endpoint = os.environ.get("LEAT_ENDPOINT", "127.0.0.1:4568")
    # Records can be larger than what gRPC takes by default.
    sizes = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]
    with grpc.insecure_channel(endpoint, options=sizes) as channel:
        stream = "python-example-" + uuid.uuid4().hex[:12]
        streams = v1.StreamServiceStub(channel)
        call(streams.CreateStream, v1.CreateStreamRequest(stream=stream, shard_count=2))
        try:
            wait_until_active(streams, stream)
            put = put_records(channel, stream)
            check(put, read_records(channel, stream))
        finally:
            call(streams.DeleteStream, v1.DeleteStreamRequest(stream=stream))
        print(f"python: put {COUNT} records into {stream}, read them back, deleted it")


def call(method, request):
    """Calls with a deadline and, where there is one, the token."""
    token = os.environ.get("LEAT_TOKEN")
    metadata = [("authorization", "Bearer " + token)] if token else None
    return method(request, timeout=PATIENCE, metadata=metadata)


def wait_until_active(streams, stream):
    deadline = time.monotonic() + PATIENCE
    while True:
        summary = call(streams.DescribeStreamSummary, v1.DescribeStreamSummaryRequest(stream=stream))
        if summary.stream.status == v1.STREAM_STATUS_ACTIVE:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{stream} is not ACTIVE after {PATIENCE} s")
        time.sleep(0.05)


def put_records(channel, stream):
    """Puts the records, and again those that failed, and returns what stands where.

    The answer is {(shard id, sequence number): (partition key, data)}.
    """
    records = v1.RecordServiceStub(channel)
    todo = [
        v1.PutRecordsRequestEntry(partition_key=f"key-{i}", data=f"record {i} \u00e9\u8a9e\x00".encode())
        for i in range(COUNT)
    ]
    stands, deadline = {}, time.monotonic() + PATIENCE
    while todo:
        answer = call(records.PutRecords, v1.PutRecordsRequest(stream=stream, records=todo))
        failed = []
        for entry, outcome in zip(todo, answer.records):
            if outcome.error_code == v1.PUT_RECORDS_ERROR_CODE_UNSPECIFIED:
                stands[outcome.shard_id, outcome.sequence_number] = (entry.partition_key, entry.data)
            elif time.monotonic() > deadline:
                raise RuntimeError(f"{entry.partition_key} failed: {outcome.error_message}")
            else:
                failed.append(entry)
        if failed:
            time.sleep(0.1)
        todo = failed
    return stands


def read_records(channel, stream):
    """Reads every shard from its beginning to its present end: a list of (shard id, record)."""
    shards, records = v1.ShardServiceStub(channel), v1.RecordServiceStub(channel)
    found = []
    for shard in call(shards.ListShards, v1.ListShardsRequest(stream=stream)).shards:
        start = v1.StartingPosition(type=v1.STARTING_POSITION_TYPE_TRIM_HORIZON)
        place = v1.GetShardIteratorRequest(stream=stream, shard_id=shard.shard_id, start=start)
        iterator = call(records.GetShardIterator, place).shard_iterator
        deadline = time.monotonic() + PATIENCE
        while iterator:
            page = call(records.GetRecords, v1.GetRecordsRequest(shard_iterator=iterator))
            found += [(shard.shard_id, record) for record in page.records]
            if page.millis_behind_latest == 0:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"the end of {shard.shard_id} is not reached after {PATIENCE} s")
            iterator = page.next_shard_iterator
    return found


def check(put, found):
    """Exits unless each record was read once, where it was put, in order and whole."""
    places = [(shard, record.sequence_number) for shard, record in found]
    read = {place: (record.partition_key, record.data) for place, (_, record) in zip(places, found)}
    if len(put) != COUNT or read != put or len(places) != COUNT:
        sys.exit(f"put {put}\nread {read}")
    if places != sorted(places):
        sys.exit(f"not in order: {places}")


if __name__ == "__main__":
    main()
