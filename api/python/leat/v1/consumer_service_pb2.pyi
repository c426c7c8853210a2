from leat.v1 import consumer_pb2 as _consumer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeregisterStreamConsumerRequest(_message.Message):
    __slots__ = ["consumer", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class DeregisterStreamConsumerResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DescribeStreamConsumerRequest(_message.Message):
    __slots__ = ["consumer", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class DescribeStreamConsumerResponse(_message.Message):
    __slots__ = ["consumer"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    consumer: _consumer_pb2.Consumer
    def __init__(self, consumer: _Optional[_Union[_consumer_pb2.Consumer, _Mapping]] = ...) -> None: ...

class ListStreamConsumersRequest(_message.Message):
    __slots__ = ["page_size", "page_token", "stream"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStreamConsumersResponse(_message.Message):
    __slots__ = ["consumers", "next_page_token"]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consumers: _containers.RepeatedCompositeFieldContainer[_consumer_pb2.Consumer]
    next_page_token: str
    def __init__(self, consumers: _Optional[_Iterable[_Union[_consumer_pb2.Consumer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RegisterStreamConsumerRequest(_message.Message):
    __slots__ = ["consumer", "stream", "tags"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RegisterStreamConsumerResponse(_message.Message):
    __slots__ = ["consumer"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    consumer: _consumer_pb2.Consumer
    def __init__(self, consumer: _Optional[_Union[_consumer_pb2.Consumer, _Mapping]] = ...) -> None: ...
