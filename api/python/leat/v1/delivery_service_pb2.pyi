from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leat.v1 import delivery_pb2 as _delivery_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackfillDeliveryRequest(_message.Message):
    __slots__ = ["compression", "delivery", "format", "from_time", "prefix", "to_time"]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    TO_TIME_FIELD_NUMBER: _ClassVar[int]
    compression: _delivery_pb2.DeliveryCompression
    delivery: str
    format: _delivery_pb2.DeliveryFormat
    from_time: _timestamp_pb2.Timestamp
    prefix: str
    to_time: _timestamp_pb2.Timestamp
    def __init__(self, delivery: _Optional[str] = ..., from_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., to_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., format: _Optional[_Union[_delivery_pb2.DeliveryFormat, _Mapping]] = ..., compression: _Optional[_Union[_delivery_pb2.DeliveryCompression, str]] = ..., prefix: _Optional[str] = ...) -> None: ...

class BackfillDeliveryResponse(_message.Message):
    __slots__ = ["backfill"]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: _delivery_pb2.DeliveryBackfill
    def __init__(self, backfill: _Optional[_Union[_delivery_pb2.DeliveryBackfill, _Mapping]] = ...) -> None: ...

class CreateDeliveryRequest(_message.Message):
    __slots__ = ["config", "delivery", "tags"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    config: _delivery_pb2.DeliveryConfig
    delivery: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, delivery: _Optional[str] = ..., config: _Optional[_Union[_delivery_pb2.DeliveryConfig, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateDeliveryResponse(_message.Message):
    __slots__ = ["delivery"]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    delivery: _delivery_pb2.Delivery
    def __init__(self, delivery: _Optional[_Union[_delivery_pb2.Delivery, _Mapping]] = ...) -> None: ...

class DeleteDeliveryRequest(_message.Message):
    __slots__ = ["delivery"]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    delivery: str
    def __init__(self, delivery: _Optional[str] = ...) -> None: ...

class DeleteDeliveryResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DescribeDeliveryRequest(_message.Message):
    __slots__ = ["delivery"]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    delivery: str
    def __init__(self, delivery: _Optional[str] = ...) -> None: ...

class DescribeDeliveryResponse(_message.Message):
    __slots__ = ["backfills", "delivery", "shards"]
    BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    backfills: _containers.RepeatedCompositeFieldContainer[_delivery_pb2.DeliveryBackfill]
    delivery: _delivery_pb2.Delivery
    shards: _containers.RepeatedCompositeFieldContainer[_delivery_pb2.DeliveryProgress]
    def __init__(self, delivery: _Optional[_Union[_delivery_pb2.Delivery, _Mapping]] = ..., shards: _Optional[_Iterable[_Union[_delivery_pb2.DeliveryProgress, _Mapping]]] = ..., backfills: _Optional[_Iterable[_Union[_delivery_pb2.DeliveryBackfill, _Mapping]]] = ...) -> None: ...

class ListDeliveriesRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeliveriesResponse(_message.Message):
    __slots__ = ["deliveries", "next_page_token"]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    deliveries: _containers.RepeatedCompositeFieldContainer[_delivery_pb2.Delivery]
    next_page_token: str
    def __init__(self, deliveries: _Optional[_Iterable[_Union[_delivery_pb2.Delivery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PutDeliveryRecordsRequest(_message.Message):
    __slots__ = ["delivery", "records"]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    delivery: str
    records: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, delivery: _Optional[str] = ..., records: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PutDeliveryRecordsResponse(_message.Message):
    __slots__ = ["failed_count", "results"]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    failed_count: int
    results: _containers.RepeatedCompositeFieldContainer[PutDeliveryRecordsResult]
    def __init__(self, failed_count: _Optional[int] = ..., results: _Optional[_Iterable[_Union[PutDeliveryRecordsResult, _Mapping]]] = ...) -> None: ...

class PutDeliveryRecordsResult(_message.Message):
    __slots__ = ["error_code", "error_message", "record_id"]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    error_code: str
    error_message: str
    record_id: str
    def __init__(self, record_id: _Optional[str] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...

class UpdateDeliveryRequest(_message.Message):
    __slots__ = ["config", "delivery", "if_version", "remove_tags", "set_tags", "state"]
    class SetTagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    SET_TAGS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    config: _delivery_pb2.DeliveryConfig
    delivery: str
    if_version: int
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    set_tags: _containers.ScalarMap[str, str]
    state: _delivery_pb2.DeliveryState
    def __init__(self, delivery: _Optional[str] = ..., if_version: _Optional[int] = ..., config: _Optional[_Union[_delivery_pb2.DeliveryConfig, _Mapping]] = ..., state: _Optional[_Union[_delivery_pb2.DeliveryState, str]] = ..., set_tags: _Optional[_Mapping[str, str]] = ..., remove_tags: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateDeliveryResponse(_message.Message):
    __slots__ = ["delivery"]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    delivery: _delivery_pb2.Delivery
    def __init__(self, delivery: _Optional[_Union[_delivery_pb2.Delivery, _Mapping]] = ...) -> None: ...

class VerifiedRange(_message.Message):
    __slots__ = ["end", "first", "shard_id"]
    END_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    end: int
    first: int
    shard_id: str
    def __init__(self, shard_id: _Optional[str] = ..., first: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class VerifyDeliveryRequest(_message.Message):
    __slots__ = ["backfill", "deep", "delivery"]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    DEEP_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    backfill: str
    deep: bool
    delivery: str
    def __init__(self, delivery: _Optional[str] = ..., backfill: _Optional[str] = ..., deep: bool = ...) -> None: ...

class VerifyDeliveryResponse(_message.Message):
    __slots__ = ["backup_objects", "bytes", "clean", "dropped", "error_objects", "expired", "failed", "objects", "pending", "problems", "ranges", "records", "stored"]
    BACKUP_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CLEAN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ERROR_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    backup_objects: int
    bytes: int
    clean: bool
    dropped: int
    error_objects: int
    expired: int
    failed: int
    objects: int
    pending: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    ranges: _containers.RepeatedCompositeFieldContainer[VerifiedRange]
    records: int
    stored: int
    def __init__(self, clean: bool = ..., ranges: _Optional[_Iterable[_Union[VerifiedRange, _Mapping]]] = ..., objects: _Optional[int] = ..., error_objects: _Optional[int] = ..., backup_objects: _Optional[int] = ..., bytes: _Optional[int] = ..., records: _Optional[int] = ..., stored: _Optional[int] = ..., failed: _Optional[int] = ..., dropped: _Optional[int] = ..., expired: _Optional[int] = ..., pending: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
