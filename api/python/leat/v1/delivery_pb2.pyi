from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DELIVERY_COMPRESSION_GZIP: DeliveryCompression
DELIVERY_COMPRESSION_HADOOP_SNAPPY: DeliveryCompression
DELIVERY_COMPRESSION_NONE: DeliveryCompression
DELIVERY_COMPRESSION_SNAPPY: DeliveryCompression
DELIVERY_COMPRESSION_UNSPECIFIED: DeliveryCompression
DELIVERY_COMPRESSION_ZIP: DeliveryCompression
DELIVERY_COMPRESSION_ZSTD: DeliveryCompression
DELIVERY_FORMAT_KIND_CSV: DeliveryFormatKind
DELIVERY_FORMAT_KIND_DELIMITED: DeliveryFormatKind
DELIVERY_FORMAT_KIND_JSON_LINES: DeliveryFormatKind
DELIVERY_FORMAT_KIND_PARQUET: DeliveryFormatKind
DELIVERY_FORMAT_KIND_RAW: DeliveryFormatKind
DELIVERY_FORMAT_KIND_UNSPECIFIED: DeliveryFormatKind
DELIVERY_START_AT_TIME: DeliveryStart
DELIVERY_START_LATEST: DeliveryStart
DELIVERY_START_TRIM_HORIZON: DeliveryStart
DELIVERY_START_UNSPECIFIED: DeliveryStart
DELIVERY_STATE_ACTIVE: DeliveryState
DELIVERY_STATE_DELETING: DeliveryState
DELIVERY_STATE_PAUSED: DeliveryState
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_TRANSFORM_KIND_DECOMPRESS: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_HTTP: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_JQ: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_PARTITION_KEYS: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_UNPACK_KPL: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_UNSPECIFIED: DeliveryTransformKind
DELIVERY_TRANSFORM_KIND_WASM: DeliveryTransformKind
DESCRIPTOR: _descriptor.FileDescriptor

class Delivery(_message.Message):
    __slots__ = ["account", "config", "create_time", "id", "name", "state", "tags", "update_time", "version"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    account: str
    config: DeliveryConfig
    create_time: _timestamp_pb2.Timestamp
    id: str
    name: str
    state: DeliveryState
    tags: _containers.ScalarMap[str, str]
    update_time: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, name: _Optional[str] = ..., account: _Optional[str] = ..., id: _Optional[str] = ..., state: _Optional[_Union[DeliveryState, str]] = ..., version: _Optional[int] = ..., config: _Optional[_Union[DeliveryConfig, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeliveryBackfill(_message.Message):
    __slots__ = ["create_time", "done", "from_time", "id", "shards", "to_time"]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    TO_TIME_FIELD_NUMBER: _ClassVar[int]
    create_time: _timestamp_pb2.Timestamp
    done: bool
    from_time: _timestamp_pb2.Timestamp
    id: str
    shards: _containers.RepeatedCompositeFieldContainer[DeliveryProgress]
    to_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., from_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., to_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., done: bool = ..., shards: _Optional[_Iterable[_Union[DeliveryProgress, _Mapping]]] = ...) -> None: ...

class DeliveryBackup(_message.Message):
    __slots__ = ["all", "compression", "naming", "s3"]
    ALL_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    NAMING_FIELD_NUMBER: _ClassVar[int]
    S3_FIELD_NUMBER: _ClassVar[int]
    all: bool
    compression: DeliveryCompression
    naming: DeliveryNaming
    s3: DeliveryS3
    def __init__(self, s3: _Optional[_Union[DeliveryS3, _Mapping]] = ..., naming: _Optional[_Union[DeliveryNaming, _Mapping]] = ..., compression: _Optional[_Union[DeliveryCompression, str]] = ..., all: bool = ...) -> None: ...

class DeliveryBuffer(_message.Message):
    __slots__ = ["bytes", "merged", "seconds"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    merged: bool
    seconds: int
    def __init__(self, bytes: _Optional[int] = ..., seconds: _Optional[int] = ..., merged: bool = ...) -> None: ...

class DeliveryColumn(_message.Message):
    __slots__ = ["name", "optional", "type"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    optional: bool
    type: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., optional: bool = ...) -> None: ...

class DeliveryConfig(_message.Message):
    __slots__ = ["backup", "buffer", "compression", "format", "hold_seconds", "http", "naming", "partitioning", "s3", "source", "transforms"]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    HOLD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    NAMING_FIELD_NUMBER: _ClassVar[int]
    PARTITIONING_FIELD_NUMBER: _ClassVar[int]
    S3_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TRANSFORMS_FIELD_NUMBER: _ClassVar[int]
    backup: DeliveryBackup
    buffer: DeliveryBuffer
    compression: DeliveryCompression
    format: DeliveryFormat
    hold_seconds: int
    http: DeliveryHTTP
    naming: DeliveryNaming
    partitioning: DeliveryPartitioning
    s3: DeliveryS3
    source: DeliverySource
    transforms: _containers.RepeatedCompositeFieldContainer[DeliveryTransform]
    def __init__(self, source: _Optional[_Union[DeliverySource, _Mapping]] = ..., buffer: _Optional[_Union[DeliveryBuffer, _Mapping]] = ..., transforms: _Optional[_Iterable[_Union[DeliveryTransform, _Mapping]]] = ..., partitioning: _Optional[_Union[DeliveryPartitioning, _Mapping]] = ..., format: _Optional[_Union[DeliveryFormat, _Mapping]] = ..., compression: _Optional[_Union[DeliveryCompression, str]] = ..., naming: _Optional[_Union[DeliveryNaming, _Mapping]] = ..., s3: _Optional[_Union[DeliveryS3, _Mapping]] = ..., http: _Optional[_Union[DeliveryHTTP, _Mapping]] = ..., backup: _Optional[_Union[DeliveryBackup, _Mapping]] = ..., hold_seconds: _Optional[int] = ...) -> None: ...

class DeliveryFormat(_message.Message):
    __slots__ = ["csv_columns", "csv_header", "csv_separator", "delimiter", "kind", "parquet_columns", "parquet_compression", "parquet_row_group_bytes"]
    CSV_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CSV_HEADER_FIELD_NUMBER: _ClassVar[int]
    CSV_SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARQUET_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PARQUET_COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    PARQUET_ROW_GROUP_BYTES_FIELD_NUMBER: _ClassVar[int]
    csv_columns: _containers.RepeatedScalarFieldContainer[str]
    csv_header: bool
    csv_separator: str
    delimiter: str
    kind: DeliveryFormatKind
    parquet_columns: _containers.RepeatedCompositeFieldContainer[DeliveryColumn]
    parquet_compression: DeliveryCompression
    parquet_row_group_bytes: int
    def __init__(self, kind: _Optional[_Union[DeliveryFormatKind, str]] = ..., delimiter: _Optional[str] = ..., csv_columns: _Optional[_Iterable[str]] = ..., csv_header: bool = ..., csv_separator: _Optional[str] = ..., parquet_columns: _Optional[_Iterable[_Union[DeliveryColumn, _Mapping]]] = ..., parquet_compression: _Optional[_Union[DeliveryCompression, str]] = ..., parquet_row_group_bytes: _Optional[int] = ...) -> None: ...

class DeliveryHTTP(_message.Message):
    __slots__ = ["access_key", "batch_bytes", "common", "gzip", "retry_seconds", "url"]
    class CommonEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMMON_FIELD_NUMBER: _ClassVar[int]
    GZIP_FIELD_NUMBER: _ClassVar[int]
    RETRY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    access_key: str
    batch_bytes: int
    common: _containers.ScalarMap[str, str]
    gzip: bool
    retry_seconds: int
    url: str
    def __init__(self, url: _Optional[str] = ..., access_key: _Optional[str] = ..., common: _Optional[_Mapping[str, str]] = ..., gzip: bool = ..., batch_bytes: _Optional[int] = ..., retry_seconds: _Optional[int] = ...) -> None: ...

class DeliveryNaming(_message.Message):
    __slots__ = ["error_prefix", "extension", "prefix", "time_zone"]
    ERROR_PREFIX_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    error_prefix: str
    extension: str
    prefix: str
    time_zone: str
    def __init__(self, prefix: _Optional[str] = ..., error_prefix: _Optional[str] = ..., extension: _Optional[str] = ..., time_zone: _Optional[str] = ...) -> None: ...

class DeliveryPartitioning(_message.Message):
    __slots__ = ["max_active"]
    MAX_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    max_active: int
    def __init__(self, max_active: _Optional[int] = ...) -> None: ...

class DeliveryProgress(_message.Message):
    __slots__ = ["delivered_time", "done", "lag_millis", "next", "reason", "reason_time", "shard_id", "start", "tail"]
    DELIVERED_TIME_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    LAG_MILLIS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_TIME_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    delivered_time: _timestamp_pb2.Timestamp
    done: bool
    lag_millis: int
    next: int
    reason: str
    reason_time: _timestamp_pb2.Timestamp
    shard_id: str
    start: int
    tail: int
    def __init__(self, shard_id: _Optional[str] = ..., start: _Optional[int] = ..., next: _Optional[int] = ..., tail: _Optional[int] = ..., delivered_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lag_millis: _Optional[int] = ..., done: bool = ..., reason: _Optional[str] = ..., reason_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeliveryS3(_message.Message):
    __slots__ = ["access_key", "bucket", "endpoint", "region", "secret_key"]
    ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    access_key: str
    bucket: str
    endpoint: str
    region: str
    secret_key: str
    def __init__(self, bucket: _Optional[str] = ..., endpoint: _Optional[str] = ..., region: _Optional[str] = ..., access_key: _Optional[str] = ..., secret_key: _Optional[str] = ...) -> None: ...

class DeliverySource(_message.Message):
    __slots__ = ["shard_count", "start", "start_time", "stream"]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    shard_count: int
    start: DeliveryStart
    start_time: _timestamp_pb2.Timestamp
    stream: str
    def __init__(self, stream: _Optional[str] = ..., start: _Optional[_Union[DeliveryStart, str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., shard_count: _Optional[int] = ...) -> None: ...

class DeliveryTransform(_message.Message):
    __slots__ = ["compression", "http", "kind", "memory_bytes", "module", "query", "timeout_millis"]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    compression: DeliveryCompression
    http: DeliveryHTTP
    kind: DeliveryTransformKind
    memory_bytes: int
    module: bytes
    query: str
    timeout_millis: int
    def __init__(self, kind: _Optional[_Union[DeliveryTransformKind, str]] = ..., query: _Optional[str] = ..., compression: _Optional[_Union[DeliveryCompression, str]] = ..., http: _Optional[_Union[DeliveryHTTP, _Mapping]] = ..., module: _Optional[bytes] = ..., timeout_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class DeliveryStart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class DeliveryTransformKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class DeliveryFormatKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class DeliveryCompression(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
