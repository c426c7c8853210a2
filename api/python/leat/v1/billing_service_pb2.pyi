from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leat.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
INVOICE_FORMAT_CSV: InvoiceFormat
INVOICE_FORMAT_FOCUS: InvoiceFormat
INVOICE_FORMAT_JSON: InvoiceFormat
INVOICE_FORMAT_PDF: InvoiceFormat
INVOICE_FORMAT_UNSPECIFIED: InvoiceFormat
INVOICE_STATUS_CLOSED: InvoiceStatus
INVOICE_STATUS_DRAFT: InvoiceStatus
INVOICE_STATUS_UNSPECIFIED: InvoiceStatus

class AddInvoiceEntryRequest(_message.Message):
    __slots__ = ["account", "amount", "entry_id", "month", "reason"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    account: str
    amount: str
    entry_id: str
    month: str
    reason: str
    def __init__(self, account: _Optional[str] = ..., month: _Optional[str] = ..., entry_id: _Optional[str] = ..., amount: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AddInvoiceEntryResponse(_message.Message):
    __slots__ = ["invoice"]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: Invoice
    def __init__(self, invoice: _Optional[_Union[Invoice, _Mapping]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ["account", "amount", "create_time", "forecast_thresholds", "locked", "meter", "name", "status", "stream_id", "thresholds", "throttle", "update_time", "webhook_url"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FORECAST_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_URL_FIELD_NUMBER: _ClassVar[int]
    account: str
    amount: str
    create_time: _timestamp_pb2.Timestamp
    forecast_thresholds: _containers.RepeatedScalarFieldContainer[int]
    locked: bool
    meter: str
    name: str
    status: BudgetStatus
    stream_id: str
    thresholds: _containers.RepeatedScalarFieldContainer[int]
    throttle: bool
    update_time: _timestamp_pb2.Timestamp
    webhook_url: str
    def __init__(self, account: _Optional[str] = ..., name: _Optional[str] = ..., amount: _Optional[str] = ..., stream_id: _Optional[str] = ..., meter: _Optional[str] = ..., thresholds: _Optional[_Iterable[int]] = ..., forecast_thresholds: _Optional[_Iterable[int]] = ..., webhook_url: _Optional[str] = ..., throttle: bool = ..., locked: bool = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[BudgetStatus, _Mapping]] = ...) -> None: ...

class BudgetAlert(_message.Message):
    __slots__ = ["attempts", "failure", "kind", "percent", "state", "time"]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    failure: str
    kind: str
    percent: int
    state: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., percent: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[str] = ..., attempts: _Optional[int] = ..., failure: _Optional[str] = ...) -> None: ...

class BudgetStatus(_message.Message):
    __slots__ = ["alerts", "currency", "exceeded", "forecast", "month", "spent", "time"]
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    EXCEEDED_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    alerts: _containers.RepeatedCompositeFieldContainer[BudgetAlert]
    currency: str
    exceeded: bool
    forecast: str
    month: str
    spent: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, month: _Optional[str] = ..., currency: _Optional[str] = ..., spent: _Optional[str] = ..., forecast: _Optional[str] = ..., exceeded: bool = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., alerts: _Optional[_Iterable[_Union[BudgetAlert, _Mapping]]] = ...) -> None: ...

class CloseInvoiceRequest(_message.Message):
    __slots__ = ["account", "month"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    account: str
    month: str
    def __init__(self, account: _Optional[str] = ..., month: _Optional[str] = ...) -> None: ...

class CloseInvoiceResponse(_message.Message):
    __slots__ = ["invoice"]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: Invoice
    def __init__(self, invoice: _Optional[_Union[Invoice, _Mapping]] = ...) -> None: ...

class DeleteBudgetRequest(_message.Message):
    __slots__ = ["account", "name"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    account: str
    name: str
    def __init__(self, account: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class DeleteBudgetResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class EstimateCostRequest(_message.Message):
    __slots__ = ["consumers", "mode", "price_book", "readers", "record_bytes", "records_per_second", "retention_hours", "shard_count"]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PRICE_BOOK_FIELD_NUMBER: _ClassVar[int]
    READERS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    consumers: int
    mode: _stream_pb2.StreamMode
    price_book: str
    readers: int
    record_bytes: int
    records_per_second: int
    retention_hours: int
    shard_count: int
    def __init__(self, price_book: _Optional[str] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., shard_count: _Optional[int] = ..., records_per_second: _Optional[int] = ..., record_bytes: _Optional[int] = ..., retention_hours: _Optional[int] = ..., readers: _Optional[int] = ..., consumers: _Optional[int] = ...) -> None: ...

class EstimateCostResponse(_message.Message):
    __slots__ = ["estimate"]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    estimate: Invoice
    def __init__(self, estimate: _Optional[_Union[Invoice, _Mapping]] = ...) -> None: ...

class ExportInvoiceRequest(_message.Message):
    __slots__ = ["account", "format", "month"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    account: str
    format: InvoiceFormat
    month: str
    def __init__(self, account: _Optional[str] = ..., month: _Optional[str] = ..., format: _Optional[_Union[InvoiceFormat, str]] = ...) -> None: ...

class ExportInvoiceResponse(_message.Message):
    __slots__ = ["content", "content_type", "file_name"]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    content_type: str
    file_name: str
    def __init__(self, content: _Optional[bytes] = ..., content_type: _Optional[str] = ..., file_name: _Optional[str] = ...) -> None: ...

class FindSavingsRequest(_message.Message):
    __slots__ = ["account"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class FindSavingsResponse(_message.Message):
    __slots__ = ["currency", "end_time", "savings", "start_time"]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SAVINGS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    currency: str
    end_time: _timestamp_pb2.Timestamp
    savings: _containers.RepeatedCompositeFieldContainer[Saving]
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, savings: _Optional[_Iterable[_Union[Saving, _Mapping]]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., currency: _Optional[str] = ...) -> None: ...

class GetInvoiceRequest(_message.Message):
    __slots__ = ["account", "month", "with_shares"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    WITH_SHARES_FIELD_NUMBER: _ClassVar[int]
    account: str
    month: str
    with_shares: bool
    def __init__(self, account: _Optional[str] = ..., month: _Optional[str] = ..., with_shares: bool = ...) -> None: ...

class GetInvoiceResponse(_message.Message):
    __slots__ = ["invoice"]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: Invoice
    def __init__(self, invoice: _Optional[_Union[Invoice, _Mapping]] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ["account", "end_time", "start_time", "stream_id"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    end_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    stream_id: str
    def __init__(self, account: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stream_id: _Optional[str] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ["rows"]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[UsageRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[UsageRow, _Mapping]]] = ...) -> None: ...

class Invoice(_message.Message):
    __slots__ = ["account", "close_time", "currency", "end_time", "lines", "month", "number", "price_book", "price_book_version", "shares", "start_time", "status", "through_time", "total"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TIME_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PRICE_BOOK_FIELD_NUMBER: _ClassVar[int]
    PRICE_BOOK_VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    THROUGH_TIME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    account: str
    close_time: _timestamp_pb2.Timestamp
    currency: str
    end_time: _timestamp_pb2.Timestamp
    lines: _containers.RepeatedCompositeFieldContainer[InvoiceLine]
    month: str
    number: int
    price_book: str
    price_book_version: int
    shares: _containers.RepeatedCompositeFieldContainer[InvoiceShare]
    start_time: _timestamp_pb2.Timestamp
    status: InvoiceStatus
    through_time: _timestamp_pb2.Timestamp
    total: str
    def __init__(self, number: _Optional[int] = ..., account: _Optional[str] = ..., month: _Optional[str] = ..., status: _Optional[_Union[InvoiceStatus, str]] = ..., currency: _Optional[str] = ..., total: _Optional[str] = ..., price_book: _Optional[str] = ..., price_book_version: _Optional[int] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., close_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., through_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[InvoiceLine, _Mapping]]] = ..., shares: _Optional[_Iterable[_Union[InvoiceShare, _Mapping]]] = ...) -> None: ...

class InvoiceLine(_message.Message):
    __slots__ = ["amount", "description", "end_time", "item", "kind", "meter", "per", "price", "quantity", "reason", "start_time", "tier", "unit"]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    amount: str
    description: str
    end_time: _timestamp_pb2.Timestamp
    item: str
    kind: str
    meter: str
    per: str
    price: str
    quantity: str
    reason: str
    start_time: _timestamp_pb2.Timestamp
    tier: int
    unit: str
    def __init__(self, kind: _Optional[str] = ..., item: _Optional[str] = ..., description: _Optional[str] = ..., meter: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., tier: _Optional[int] = ..., quantity: _Optional[str] = ..., unit: _Optional[str] = ..., per: _Optional[str] = ..., price: _Optional[str] = ..., amount: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class InvoiceShare(_message.Message):
    __slots__ = ["amount", "item", "meter", "quantity", "start_time", "stream_id", "stream_name"]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_NAME_FIELD_NUMBER: _ClassVar[int]
    amount: str
    item: str
    meter: str
    quantity: str
    start_time: _timestamp_pb2.Timestamp
    stream_id: str
    stream_name: str
    def __init__(self, item: _Optional[str] = ..., stream_name: _Optional[str] = ..., stream_id: _Optional[str] = ..., meter: _Optional[str] = ..., quantity: _Optional[str] = ..., amount: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ["account"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ["budgets"]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class ListInvoicesRequest(_message.Message):
    __slots__ = ["account"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class ListInvoicesResponse(_message.Message):
    __slots__ = ["invoices"]
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    invoices: _containers.RepeatedCompositeFieldContainer[Invoice]
    def __init__(self, invoices: _Optional[_Iterable[_Union[Invoice, _Mapping]]] = ...) -> None: ...

class PutBudgetRequest(_message.Message):
    __slots__ = ["account", "amount", "forecast_thresholds", "meter", "name", "stream", "thresholds", "throttle", "webhook_secret", "webhook_url"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FORECAST_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_SECRET_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_URL_FIELD_NUMBER: _ClassVar[int]
    account: str
    amount: str
    forecast_thresholds: _containers.RepeatedScalarFieldContainer[int]
    meter: str
    name: str
    stream: str
    thresholds: _containers.RepeatedScalarFieldContainer[int]
    throttle: bool
    webhook_secret: str
    webhook_url: str
    def __init__(self, account: _Optional[str] = ..., name: _Optional[str] = ..., amount: _Optional[str] = ..., stream: _Optional[str] = ..., meter: _Optional[str] = ..., thresholds: _Optional[_Iterable[int]] = ..., forecast_thresholds: _Optional[_Iterable[int]] = ..., webhook_url: _Optional[str] = ..., webhook_secret: _Optional[str] = ..., throttle: bool = ...) -> None: ...

class PutBudgetResponse(_message.Message):
    __slots__ = ["budget"]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class Saving(_message.Message):
    __slots__ = ["consumer_name", "kind", "monthly_amount", "reason", "shard_count", "shards_needed", "stream_id", "stream_name"]
    CONSUMER_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SHARDS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_NAME_FIELD_NUMBER: _ClassVar[int]
    consumer_name: str
    kind: str
    monthly_amount: str
    reason: str
    shard_count: int
    shards_needed: int
    stream_id: str
    stream_name: str
    def __init__(self, kind: _Optional[str] = ..., stream_name: _Optional[str] = ..., stream_id: _Optional[str] = ..., consumer_name: _Optional[str] = ..., reason: _Optional[str] = ..., shards_needed: _Optional[int] = ..., shard_count: _Optional[int] = ..., monthly_amount: _Optional[str] = ...) -> None: ...

class UsageRow(_message.Message):
    __slots__ = ["hour", "mode", "quantities", "stream_id", "stream_name"]
    class QuantitiesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    HOUR_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_NAME_FIELD_NUMBER: _ClassVar[int]
    hour: _timestamp_pb2.Timestamp
    mode: _stream_pb2.StreamMode
    quantities: _containers.ScalarMap[str, int]
    stream_id: str
    stream_name: str
    def __init__(self, stream_name: _Optional[str] = ..., stream_id: _Optional[str] = ..., mode: _Optional[_Union[_stream_pb2.StreamMode, str]] = ..., hour: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., quantities: _Optional[_Mapping[str, int]] = ...) -> None: ...

class InvoiceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class InvoiceFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
