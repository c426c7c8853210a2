from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChildShard(_message.Message):
    __slots__ = ["hash_key_range", "parent_shard_ids", "shard_id"]
    HASH_KEY_RANGE_FIELD_NUMBER: _ClassVar[int]
    PARENT_SHARD_IDS_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    hash_key_range: HashKeyRange
    parent_shard_ids: _containers.RepeatedScalarFieldContainer[str]
    shard_id: str
    def __init__(self, shard_id: _Optional[str] = ..., parent_shard_ids: _Optional[_Iterable[str]] = ..., hash_key_range: _Optional[_Union[HashKeyRange, _Mapping]] = ...) -> None: ...

class HashKeyRange(_message.Message):
    __slots__ = ["ending_hash_key", "starting_hash_key"]
    ENDING_HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    STARTING_HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    ending_hash_key: str
    starting_hash_key: str
    def __init__(self, starting_hash_key: _Optional[str] = ..., ending_hash_key: _Optional[str] = ...) -> None: ...

class SequenceNumberRange(_message.Message):
    __slots__ = ["ending_sequence_number", "starting_sequence_number"]
    ENDING_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    STARTING_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ending_sequence_number: str
    starting_sequence_number: str
    def __init__(self, starting_sequence_number: _Optional[str] = ..., ending_sequence_number: _Optional[str] = ...) -> None: ...

class Shard(_message.Message):
    __slots__ = ["adjacent_parent_shard_id", "close_time", "create_time", "epoch", "hash_key_range", "owner_session_id", "parent_shard_id", "sequence_number_range", "shard_id"]
    ADJACENT_PARENT_SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HASH_KEY_RANGE_FIELD_NUMBER: _ClassVar[int]
    OWNER_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_RANGE_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    adjacent_parent_shard_id: str
    close_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    epoch: int
    hash_key_range: HashKeyRange
    owner_session_id: str
    parent_shard_id: str
    sequence_number_range: SequenceNumberRange
    shard_id: str
    def __init__(self, shard_id: _Optional[str] = ..., hash_key_range: _Optional[_Union[HashKeyRange, _Mapping]] = ..., parent_shard_id: _Optional[str] = ..., adjacent_parent_shard_id: _Optional[str] = ..., sequence_number_range: _Optional[_Union[SequenceNumberRange, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., close_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., owner_session_id: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...
