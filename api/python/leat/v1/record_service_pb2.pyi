from leat.v1 import record_pb2 as _record_pb2
from leat.v1 import shard_pb2 as _shard_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
PUT_RECORDS_ERROR_CODE_INTERNAL_FAILURE: PutRecordsErrorCode
PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED: PutRecordsErrorCode
PUT_RECORDS_ERROR_CODE_UNSPECIFIED: PutRecordsErrorCode

class GetRecordsRequest(_message.Message):
    __slots__ = ["limit", "shard_iterator"]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    limit: int
    shard_iterator: str
    def __init__(self, shard_iterator: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class GetRecordsResponse(_message.Message):
    __slots__ = ["child_shards", "millis_behind_latest", "next_shard_iterator", "records"]
    CHILD_SHARDS_FIELD_NUMBER: _ClassVar[int]
    MILLIS_BEHIND_LATEST_FIELD_NUMBER: _ClassVar[int]
    NEXT_SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    child_shards: _containers.RepeatedCompositeFieldContainer[_shard_pb2.ChildShard]
    millis_behind_latest: int
    next_shard_iterator: str
    records: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, records: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ..., millis_behind_latest: _Optional[int] = ..., next_shard_iterator: _Optional[str] = ..., child_shards: _Optional[_Iterable[_Union[_shard_pb2.ChildShard, _Mapping]]] = ...) -> None: ...

class GetShardIteratorRequest(_message.Message):
    __slots__ = ["shard_id", "start", "stream"]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    shard_id: str
    start: _record_pb2.StartingPosition
    stream: str
    def __init__(self, stream: _Optional[str] = ..., shard_id: _Optional[str] = ..., start: _Optional[_Union[_record_pb2.StartingPosition, _Mapping]] = ...) -> None: ...

class GetShardIteratorResponse(_message.Message):
    __slots__ = ["shard_iterator"]
    SHARD_ITERATOR_FIELD_NUMBER: _ClassVar[int]
    shard_iterator: str
    def __init__(self, shard_iterator: _Optional[str] = ...) -> None: ...

class PutRecordRequest(_message.Message):
    __slots__ = ["data", "explicit_hash_key", "partition_key", "sequence_number_for_ordering", "stream"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    EXPLICIT_HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FOR_ORDERING_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    explicit_hash_key: str
    partition_key: str
    sequence_number_for_ordering: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., partition_key: _Optional[str] = ..., data: _Optional[bytes] = ..., explicit_hash_key: _Optional[str] = ..., sequence_number_for_ordering: _Optional[str] = ...) -> None: ...

class PutRecordResponse(_message.Message):
    __slots__ = ["sequence_number", "shard_id"]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    sequence_number: str
    shard_id: str
    def __init__(self, shard_id: _Optional[str] = ..., sequence_number: _Optional[str] = ...) -> None: ...

class PutRecordsRequest(_message.Message):
    __slots__ = ["records", "stream"]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[PutRecordsRequestEntry]
    stream: str
    def __init__(self, stream: _Optional[str] = ..., records: _Optional[_Iterable[_Union[PutRecordsRequestEntry, _Mapping]]] = ...) -> None: ...

class PutRecordsRequestEntry(_message.Message):
    __slots__ = ["data", "explicit_hash_key", "partition_key"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    EXPLICIT_HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    explicit_hash_key: str
    partition_key: str
    def __init__(self, partition_key: _Optional[str] = ..., data: _Optional[bytes] = ..., explicit_hash_key: _Optional[str] = ...) -> None: ...

class PutRecordsResponse(_message.Message):
    __slots__ = ["failed_record_count", "records"]
    FAILED_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    failed_record_count: int
    records: _containers.RepeatedCompositeFieldContainer[PutRecordsResponseEntry]
    def __init__(self, failed_record_count: _Optional[int] = ..., records: _Optional[_Iterable[_Union[PutRecordsResponseEntry, _Mapping]]] = ...) -> None: ...

class PutRecordsResponseEntry(_message.Message):
    __slots__ = ["error_code", "error_message", "sequence_number", "shard_id"]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    error_code: PutRecordsErrorCode
    error_message: str
    sequence_number: str
    shard_id: str
    def __init__(self, shard_id: _Optional[str] = ..., sequence_number: _Optional[str] = ..., error_code: _Optional[_Union[PutRecordsErrorCode, str]] = ..., error_message: _Optional[str] = ...) -> None: ...

class SubscribeToShardRequest(_message.Message):
    __slots__ = ["consumer", "shard_id", "start", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    shard_id: str
    start: _record_pb2.StartingPosition
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ..., shard_id: _Optional[str] = ..., start: _Optional[_Union[_record_pb2.StartingPosition, _Mapping]] = ...) -> None: ...

class SubscribeToShardResponse(_message.Message):
    __slots__ = ["child_shards", "continuation_sequence_number", "millis_behind_latest", "records"]
    CHILD_SHARDS_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MILLIS_BEHIND_LATEST_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    child_shards: _containers.RepeatedCompositeFieldContainer[_shard_pb2.ChildShard]
    continuation_sequence_number: str
    millis_behind_latest: int
    records: _containers.RepeatedCompositeFieldContainer[_record_pb2.Record]
    def __init__(self, records: _Optional[_Iterable[_Union[_record_pb2.Record, _Mapping]]] = ..., continuation_sequence_number: _Optional[str] = ..., millis_behind_latest: _Optional[int] = ..., child_shards: _Optional[_Iterable[_Union[_shard_pb2.ChildShard, _Mapping]]] = ...) -> None: ...

class PutRecordsErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
