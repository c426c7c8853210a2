from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leat.v1 import shard_pb2 as _shard_pb2
from leat.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
SCALE_ACTION_HOLD: ScaleAction
SCALE_ACTION_MERGE: ScaleAction
SCALE_ACTION_SPLIT: ScaleAction
SCALE_ACTION_UNSPECIFIED: ScaleAction

class CreateStreamRequest(_message.Message):
    __slots__ = ["max_record_bytes", "mode", "retention_hours", "shard_count", "stream", "tags", "warm_throughput_mibps"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    WARM_THROUGHPUT_MIBPS_FIELD_NUMBER: _ClassVar[int]
    max_record_bytes: int
    mode: _stream_pb2.StreamMode
    retention_hours: int
    shard_count: int
    stream: str
    tags: _containers.ScalarMap[str, str]
    warm_throughput_mibps: int
    def __init__(self, stream: _Optional[str] = ..., shard_count: _Optional[int] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., retention_hours: _Optional[int] = ..., max_record_bytes: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ..., warm_throughput_mibps: _Optional[int] = ...) -> None: ...

class CreateStreamResponse(_message.Message):
    __slots__ = ["stream"]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: _stream_pb2.Stream
    def __init__(self, stream: _Optional[_Union[_stream_pb2.Stream, _Mapping]] = ...) -> None: ...

class DeleteStreamRequest(_message.Message):
    __slots__ = ["enforce_consumer_deletion", "stream"]
    ENFORCE_CONSUMER_DELETION_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    enforce_consumer_deletion: bool
    stream: str
    def __init__(self, stream: _Optional[str] = ..., enforce_consumer_deletion: bool = ...) -> None: ...

class DeleteStreamResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DescribeStreamRequest(_message.Message):
    __slots__ = ["page_size", "page_token", "stream"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class DescribeStreamResponse(_message.Message):
    __slots__ = ["next_page_token", "shards", "stream"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    shards: _containers.RepeatedCompositeFieldContainer[_shard_pb2.Shard]
    stream: _stream_pb2.Stream
    def __init__(self, stream: _Optional[_Union[_stream_pb2.Stream, _Mapping]] = ..., shards: _Optional[_Iterable[_Union[_shard_pb2.Shard, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DescribeStreamSummaryRequest(_message.Message):
    __slots__ = ["stream"]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: str
    def __init__(self, stream: _Optional[str] = ...) -> None: ...

class DescribeStreamSummaryResponse(_message.Message):
    __slots__ = ["consumer_count", "stream"]
    CONSUMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer_count: int
    stream: _stream_pb2.Stream
    def __init__(self, stream: _Optional[_Union[_stream_pb2.Stream, _Mapping]] = ..., consumer_count: _Optional[int] = ...) -> None: ...

class ListScaleEventsRequest(_message.Message):
    __slots__ = ["page_size", "page_token", "stream"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListScaleEventsResponse(_message.Message):
    __slots__ = ["events", "next_page_token"]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[ScaleEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[ScaleEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListStreamsRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStreamsResponse(_message.Message):
    __slots__ = ["next_page_token", "streams"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    streams: _containers.RepeatedCompositeFieldContainer[_stream_pb2.Stream]
    def __init__(self, streams: _Optional[_Iterable[_Union[_stream_pb2.Stream, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ScaleEvent(_message.Message):
    __slots__ = ["action", "reason", "shard_ids", "time"]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SHARD_IDS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    action: ScaleAction
    reason: str
    shard_ids: _containers.RepeatedScalarFieldContainer[str]
    time: _timestamp_pb2.Timestamp
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., action: _Optional[_Union[ScaleAction, str]] = ..., shard_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetStreamMonitoringRequest(_message.Message):
    __slots__ = ["disable", "enable", "stream"]
    DISABLE_FIELD_NUMBER: _ClassVar[int]
    ENABLE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    disable: _containers.RepeatedScalarFieldContainer[_stream_pb2.ShardMetric]
    enable: _containers.RepeatedScalarFieldContainer[_stream_pb2.ShardMetric]
    stream: str
    def __init__(self, stream: _Optional[str] = ..., enable: _Optional[_Iterable[_Union[_stream_pb2.ShardMetric, str]]] = ..., disable: _Optional[_Iterable[_Union[_stream_pb2.ShardMetric, str]]] = ...) -> None: ...

class SetStreamMonitoringResponse(_message.Message):
    __slots__ = ["before", "stream"]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    before: _containers.RepeatedScalarFieldContainer[_stream_pb2.ShardMetric]
    stream: _stream_pb2.Stream
    def __init__(self, before: _Optional[_Iterable[_Union[_stream_pb2.ShardMetric, str]]] = ..., stream: _Optional[_Union[_stream_pb2.Stream, _Mapping]] = ...) -> None: ...

class StartStreamEncryptionRequest(_message.Message):
    __slots__ = ["key", "stream"]
    KEY_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    key: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class StartStreamEncryptionResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StopStreamEncryptionRequest(_message.Message):
    __slots__ = ["stream"]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: str
    def __init__(self, stream: _Optional[str] = ...) -> None: ...

class StopStreamEncryptionResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class StreamSettings(_message.Message):
    __slots__ = ["max_record_bytes", "mode", "retention_hours", "warm_throughput_mibps"]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    WARM_THROUGHPUT_MIBPS_FIELD_NUMBER: _ClassVar[int]
    max_record_bytes: int
    mode: _stream_pb2.StreamMode
    retention_hours: int
    warm_throughput_mibps: int
    def __init__(self, retention_hours: _Optional[int] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., max_record_bytes: _Optional[int] = ..., warm_throughput_mibps: _Optional[int] = ...) -> None: ...

class UpdateStreamRequest(_message.Message):
    __slots__ = ["settings", "stream", "update_mask"]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    settings: StreamSettings
    stream: str
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, stream: _Optional[str] = ..., settings: _Optional[_Union[StreamSettings, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateStreamResponse(_message.Message):
    __slots__ = ["stream"]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: _stream_pb2.Stream
    def __init__(self, stream: _Optional[_Union[_stream_pb2.Stream, _Mapping]] = ...) -> None: ...

class ScaleAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
