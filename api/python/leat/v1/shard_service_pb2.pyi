from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leat.v1 import shard_pb2 as _shard_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
SHARD_FILTER_TYPE_AFTER_SHARD_ID: ShardFilterType
SHARD_FILTER_TYPE_AT_LATEST: ShardFilterType
SHARD_FILTER_TYPE_AT_TIMESTAMP: ShardFilterType
SHARD_FILTER_TYPE_AT_TRIM_HORIZON: ShardFilterType
SHARD_FILTER_TYPE_FROM_TIMESTAMP: ShardFilterType
SHARD_FILTER_TYPE_FROM_TRIM_HORIZON: ShardFilterType
SHARD_FILTER_TYPE_UNSPECIFIED: ShardFilterType

class ListShardsRequest(_message.Message):
    __slots__ = ["filter", "page_size", "page_token", "stream"]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    filter: ShardFilter
    page_size: int
    page_token: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., filter: _Optional[_Union[ShardFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListShardsResponse(_message.Message):
    __slots__ = ["next_page_token", "shards"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    shards: _containers.RepeatedCompositeFieldContainer[_shard_pb2.Shard]
    def __init__(self, shards: _Optional[_Iterable[_Union[_shard_pb2.Shard, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class MergeShardsRequest(_message.Message):
    __slots__ = ["adjacent_shard_id", "shard_id", "stream"]
    ADJACENT_SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    adjacent_shard_id: str
    shard_id: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., shard_id: _Optional[str] = ..., adjacent_shard_id: _Optional[str] = ...) -> None: ...

class MergeShardsResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ScaleStreamRequest(_message.Message):
    __slots__ = ["stream", "target_shard_count"]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TARGET_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    stream: str
    target_shard_count: int
    def __init__(self, stream: _Optional[str] = ..., target_shard_count: _Optional[int] = ...) -> None: ...

class ScaleStreamResponse(_message.Message):
    __slots__ = ["current_shard_count", "target_shard_count"]
    CURRENT_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    TARGET_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    current_shard_count: int
    target_shard_count: int
    def __init__(self, current_shard_count: _Optional[int] = ..., target_shard_count: _Optional[int] = ...) -> None: ...

class ShardFilter(_message.Message):
    __slots__ = ["shard_id", "timestamp", "type"]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    shard_id: str
    timestamp: _timestamp_pb2.Timestamp
    type: ShardFilterType
    def __init__(self, type: _Optional[_Union[ShardFilterType, str]] = ..., shard_id: _Optional[str] = ..., timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SplitShardRequest(_message.Message):
    __slots__ = ["new_starting_hash_key", "shard_id", "stream"]
    NEW_STARTING_HASH_KEY_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    new_starting_hash_key: str
    shard_id: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., shard_id: _Optional[str] = ..., new_starting_hash_key: _Optional[str] = ...) -> None: ...

class SplitShardResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ShardFilterType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
