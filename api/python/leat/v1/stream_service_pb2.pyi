from google.protobuf import field_mask_pb2 as _field_mask_pb2
from leat.v1 import shard_pb2 as _shard_pb2
from leat.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateStreamRequest(_message.Message):
    __slots__ = ["max_record_bytes", "mode", "retention_hours", "shard_count", "stream"]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    max_record_bytes: int
    mode: _stream_pb2.StreamMode
    retention_hours: int
    shard_count: int
    stream: str
    def __init__(self, stream: _Optional[str] = ..., shard_count: _Optional[int] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., retention_hours: _Optional[int] = ..., max_record_bytes: _Optional[int] = ...) -> None: ...

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

class StreamSettings(_message.Message):
    __slots__ = ["max_record_bytes", "mode", "retention_hours"]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    max_record_bytes: int
    mode: _stream_pb2.StreamMode
    retention_hours: int
    def __init__(self, retention_hours: _Optional[int] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., max_record_bytes: _Optional[int] = ...) -> None: ...

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
