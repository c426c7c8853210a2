// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// StreamStatus is the life of a stream: CREATING, ACTIVE, UPDATING and back, DELETING.
type StreamStatus string

// The states of a stream.
const (
	StreamCreating StreamStatus = "CREATING"
	StreamActive   StreamStatus = "ACTIVE"
	StreamUpdating StreamStatus = "UPDATING"
	StreamDeleting StreamStatus = "DELETING"
)

// StreamMode tells who decides the number of shards.
type StreamMode string

// The modes of a stream.
const (
	ModeProvisioned StreamMode = "PROVISIONED"
	ModeOnDemand    StreamMode = "ON_DEMAND"
)

// Stream is a named, ordered, replayable flow of records, cut into shards.
type Stream struct {
	ID             StreamID
	Account        string // 12 digits
	Name           string
	Mode           StreamMode
	Status         StreamStatus
	Retention      time.Duration // whole hours
	MaxRecordBytes int           // data and key of one record
	Created        time.Time
	ExpiredBefore  time.Time     // records older than this stay expired even when retention is raised
	TargetShards   int           // of a ScaleStream in progress; 0 when none
	EncryptionKey  string        // as its owner named it (an alias, an ARN); empty: not encrypted
	DataKey        KeyID         // seals the records written from now on; zero: none
	Monitoring     []ShardMetric // shard-level metrics that are kept, sorted, each once
	WarmThroughput int           // MiB/s that an on-demand stream keeps room for; 0: none was asked for
	NextOrdinal    uint64        // the ordinal that the next child shard gets
	Version        uint64        // rises with each change
}

// Shard is one ordered part of a stream: the records whose hash keys lie in its range.
type Shard struct {
	Key            ShardKey
	Range          HashKeyRange
	Parent         *uint64 // ordinal of the parent, nil for a shard made with the stream
	AdjacentParent *uint64 // the second parent of a merge
	Created        time.Time
	Closed         time.Time // zero while open
	Final          uint64    // number of records ever put, known once closed
	Horizon        uint64    // the lowest offset still kept
	Epoch          uint64    // counts owners, from 1
	Owner          SessionID // zero when nobody owns it
}

// Open tells whether the shard still takes records.
func (s *Shard) Open() bool { return s.Closed.IsZero() }

// ConsumerStatus is the life of a consumer.
type ConsumerStatus string

// The states of a consumer.
const (
	ConsumerCreating ConsumerStatus = "CREATING"
	ConsumerActive   ConsumerStatus = "ACTIVE"
	ConsumerDeleting ConsumerStatus = "DELETING"
)

// Consumer is a registered reader with its own enhanced fan-out.
type Consumer struct {
	Stream  StreamID
	Name    string
	Status  ConsumerStatus
	Created time.Time
}

// Equal tells whether two states of a stream are the same.
func (s *Stream) Equal(o *Stream) bool {
	a, b := *s, *o
	a.Monitoring, b.Monitoring = nil, nil
	return reflect.DeepEqual(a, b) && slices.Equal(s.Monitoring, o.Monitoring)
}

// ShardID returns shardId- and twelve digits.
func ShardID(ordinal uint64) string { return string(AppendShardID(nil, ordinal)) }

// AppendShardID appends what ShardID returns.
func AppendShardID(to []byte, ordinal uint64) []byte {
	if ordinal > MaxOrdinal {
		return fmt.Appendf(to, "shardId-%d", ordinal)
	}
	var b [20]byte
	copy(b[:], "shardId-")
	digits(b[len("shardId-"):], ordinal)
	return append(to, b[:]...)
}

// ParseShardID reads a shard id; the short forms shardId-0 and 0 are accepted, as AWS does.
func ParseShardID(s string) (ordinal uint64, err error) {
	d := strings.TrimPrefix(s, "shardId-")
	if d == "" || len(d) > 12 || !allDigits(d) {
		return 0, Invalid("shard_id", "shard id %.64q must be shardId- and up to 12 digits, such as %s", s, ShardID(0))
	}
	return strconv.ParseUint(d, 10, 64)
}

var (
	nameForm    = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
)

// ValidateStreamName refuses names that Kinesis refuses: 1 to 128 of a-z A-Z 0-9 _ . -
func ValidateStreamName(name string) error {
	if !nameForm.MatchString(name) {
		return Invalid("stream", "stream name %.160q must be 1 to 128 characters of a-z, A-Z, 0-9, underscore, dot and hyphen", name)
	}
	return nil
}

// ValidateConsumerName has the same rule as stream names.
func ValidateConsumerName(name string) error {
	if !nameForm.MatchString(name) {
		return Invalid("consumer", "consumer name %.160q must be 1 to 128 characters of a-z, A-Z, 0-9, underscore, dot and hyphen", name)
	}
	return nil
}

// ValidateRetention wants whole hours from 24 h to 365 days. Beyond the bounds it has the texts of AWS.
func ValidateRetention(d time.Duration) error {
	const field = "retention_hours"
	switch {
	case d%time.Hour != 0:
		return Invalid(field, "retention of %g hours must be a whole number from 24 to 8760", d.Hours())
	case d < MinRetention:
		return Invalid(field, "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", MinRetention/time.Hour, d/time.Hour)
	case d > MaxRetention:
		return Invalid(field, "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", MaxRetention/time.Hour, d/time.Hour)
	}
	return nil
}

// ValidateMaxRecordBytes wants 1 MiB to 10 MiB.
func ValidateMaxRecordBytes(n int) error {
	if n < MinMaxRecordBytes || n > MaxRecordBytes {
		return Invalid("max_record_bytes", "maximum record size of %d bytes must be from %d to %d", n, MinMaxRecordBytes, MaxRecordBytes)
	}
	return nil
}

// ValidateRecord checks the form of a record for a stream whose records may have maxBytes of data and key.
func ValidateRecord(r *Record, maxBytes int) error {
	switch {
	case r.PartitionKey == "":
		return Invalid("partition_key", "partition key is empty: give 1 to %d characters", MaxPartitionKeyChars)
	case !utf8.ValidString(r.PartitionKey):
		return Invalid("partition_key", "partition key is not valid UTF-8")
	case utf8.RuneCountInString(r.PartitionKey) > MaxPartitionKeyChars:
		return Invalid("partition_key", "partition key has %d characters: %d at most", utf8.RuneCountInString(r.PartitionKey), MaxPartitionKeyChars)
	case r.Size() > maxBytes:
		return Invalid("data", "record of %d bytes (data and partition key) is larger than this stream's maximum of %d bytes: raise max_record_bytes or split the record", r.Size(), maxBytes)
	}
	return nil
}

// ARN returns arn:aws:kinesis:<region>:<account>:stream/<name>, the form that AWS SDKs check.
func (s *Stream) ARN(region string) string {
	return "arn:aws:kinesis:" + region + ":" + s.Account + ":stream/" + s.Name
}

// ARN returns the consumer's ARN, which ends in the creation time in seconds.
func (c *Consumer) ARN(streamARN string) string {
	return streamARN + "/consumer/" + c.Name + ":" + strconv.FormatInt(c.Created.Unix(), 10)
}

// ParseStreamARN reads account, region and name of a stream's ARN.
func ParseStreamARN(arn string) (region, account, name string, err error) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "kinesis" || !accountForm.MatchString(p[4]) || !strings.HasPrefix(p[5], "stream/") {
		return "", "", "", Invalid("stream_arn", "stream ARN %.256q must look like arn:aws:kinesis:us-east-1:000000000000:stream/name", arn)
	}
	name = strings.TrimPrefix(p[5], "stream/")
	if err := ValidateStreamName(name); err != nil {
		return "", "", "", err
	}
	return p[3], p[4], name, nil
}

// ParseConsumerARN reads the parts of a consumer's ARN: its stream's ARN, its name, and when it was made in seconds since
// 1970. A consumer that was made again under the same name has another ARN.
func ParseConsumerARN(arn string) (streamARN, consumer string, created int64, err error) {
	const mark = "/consumer/"
	at := max(strings.LastIndex(arn, mark), 0) // the stream may be called "consumer" too
	streamARN, rest := arn[:at], strings.TrimPrefix(arn[at:], mark)
	consumer, second, _ := strings.Cut(rest, ":")
	if _, _, _, bad := ParseStreamARN(streamARN); bad != nil || !nameForm.MatchString(consumer) || second == "" || len(second) > 18 || !allDigits(second) {
		return "", "", 0, Invalid("consumer_arn", "consumer ARN %.256q must look like arn:aws:kinesis:us-east-1:000000000000:stream/name/consumer/name:1700000000", arn)
	}
	created, err = strconv.ParseInt(second, 10, 64)
	return streamARN, consumer, created, err
}

// Principal is who calls: an account and, in it, a name for the audit log.
type Principal struct {
	Account  string // 12 digits
	Name     string
	Operator bool // came with the server's own token, or to `leat dev`: may do everything, in every account

	Role       string // whose policy binds it; empty: none does, in its own account
	Credential string // the id of the access key or the token that it came with; empty: another kind
	Origin     Origin
}

// DevAccount is the account of `leat dev`, where any credentials are accepted.
const DevAccount = "000000000000"
