// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

// The structures of the API. Members that Leat refuses are not here: decoding refuses what it does not find, by name.

type bufferingHints struct {
	IntervalInSeconds *int `json:"IntervalInSeconds,omitempty"`
	SizeInMBs         *int `json:"SizeInMBs,omitempty"`
}

type cloudWatchLoggingOptions struct {
	Enabled       *bool   `json:"Enabled,omitempty"`
	LogGroupName  *string `json:"LogGroupName,omitempty"`
	LogStreamName *string `json:"LogStreamName,omitempty"`
}

type encryptionConfiguration struct {
	NoEncryptionConfig  *string              `json:"NoEncryptionConfig,omitempty"`
	KMSEncryptionConfig *kmsEncryptionConfig `json:"KMSEncryptionConfig,omitempty"`
}

type kmsEncryptionConfig struct {
	AWSKMSKeyARN *string `json:"AWSKMSKeyARN,omitempty"`
}

type retryOptions struct {
	DurationInSeconds *int `json:"DurationInSeconds,omitempty"`
}

type dynamicPartitioningConfiguration struct {
	Enabled      *bool         `json:"Enabled,omitempty"`
	RetryOptions *retryOptions `json:"RetryOptions,omitempty"`
}

type dataFormatConversionConfiguration struct {
	Enabled                   *bool `json:"Enabled,omitempty"`
	InputFormatConfiguration  any   `json:"InputFormatConfiguration,omitempty"`
	OutputFormatConfiguration any   `json:"OutputFormatConfiguration,omitempty"`
	SchemaConfiguration       any   `json:"SchemaConfiguration,omitempty"`
}

type processingConfiguration struct {
	Enabled    *bool       `json:"Enabled,omitempty"`
	Processors []processor `json:"Processors,omitempty"`
}

type processor struct {
	Type       string               `json:"Type"`
	Parameters []processorParameter `json:"Parameters,omitempty"`
}

type processorParameter struct {
	ParameterName  string `json:"ParameterName"`
	ParameterValue string `json:"ParameterValue"`
}

// s3Destination is S3DestinationConfiguration, its update and its description.
type s3Destination struct {
	BucketARN                *string                   `json:"BucketARN,omitempty"`
	BufferingHints           *bufferingHints           `json:"BufferingHints,omitempty"`
	CloudWatchLoggingOptions *cloudWatchLoggingOptions `json:"CloudWatchLoggingOptions,omitempty"`
	CompressionFormat        *string                   `json:"CompressionFormat,omitempty"`
	EncryptionConfiguration  *encryptionConfiguration  `json:"EncryptionConfiguration,omitempty"`
	ErrorOutputPrefix        *string                   `json:"ErrorOutputPrefix,omitempty"`
	Prefix                   *string                   `json:"Prefix,omitempty"`
	RoleARN                  *string                   `json:"RoleARN,omitempty"`
}

// extendedS3 is ExtendedS3DestinationConfiguration, its update and its description, which differ in how they call the
// backup.
type extendedS3 struct {
	s3Destination
	CustomTimeZone                    *string                            `json:"CustomTimeZone,omitempty"`
	DataFormatConversionConfiguration *dataFormatConversionConfiguration `json:"DataFormatConversionConfiguration,omitempty"`
	DynamicPartitioningConfiguration  *dynamicPartitioningConfiguration  `json:"DynamicPartitioningConfiguration,omitempty"`
	FileExtension                     *string                            `json:"FileExtension,omitempty"`
	ProcessingConfiguration           *processingConfiguration           `json:"ProcessingConfiguration,omitempty"`
	S3BackupMode                      *string                            `json:"S3BackupMode,omitempty"`
	S3BackupConfiguration             *s3Destination                     `json:"S3BackupConfiguration,omitempty"`
	S3BackupUpdate                    *s3Destination                     `json:"S3BackupUpdate,omitempty"`
	S3BackupDescription               *s3Destination                     `json:"S3BackupDescription,omitempty"`
}

type endpointConfiguration struct {
	AccessKey *string `json:"AccessKey,omitempty"`
	Name      *string `json:"Name,omitempty"`
	Url       *string `json:"Url,omitempty"`
}

type commonAttribute struct {
	AttributeName  string `json:"AttributeName"`
	AttributeValue string `json:"AttributeValue"`
}

type requestConfiguration struct {
	CommonAttributes []commonAttribute `json:"CommonAttributes,omitempty"`
	ContentEncoding  *string           `json:"ContentEncoding,omitempty"`
}

// httpEndpoint is HttpEndpointDestinationConfiguration, its update and its description.
type httpEndpoint struct {
	BufferingHints           *bufferingHints           `json:"BufferingHints,omitempty"`
	CloudWatchLoggingOptions *cloudWatchLoggingOptions `json:"CloudWatchLoggingOptions,omitempty"`
	EndpointConfiguration    *endpointConfiguration    `json:"EndpointConfiguration,omitempty"`
	ProcessingConfiguration  *processingConfiguration  `json:"ProcessingConfiguration,omitempty"`
	RequestConfiguration     *requestConfiguration     `json:"RequestConfiguration,omitempty"`
	RetryOptions             *retryOptions             `json:"RetryOptions,omitempty"`
	RoleARN                  *string                   `json:"RoleARN,omitempty"`
	S3BackupMode             *string                   `json:"S3BackupMode,omitempty"`
	S3Configuration          *s3Destination            `json:"S3Configuration,omitempty"`
	S3Update                 *s3Destination            `json:"S3Update,omitempty"`
	S3DestinationDescription *s3Destination            `json:"S3DestinationDescription,omitempty"`
}

type kinesisSource struct {
	KinesisStreamARN       *string `json:"KinesisStreamARN,omitempty"`
	RoleARN                *string `json:"RoleARN,omitempty"`
	DeliveryStartTimestamp *stamp  `json:"DeliveryStartTimestamp,omitempty"` // of descriptions
}

type tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

type encryptionInput struct {
	KeyARN  *string `json:"KeyARN,omitempty"`
	KeyType *string `json:"KeyType,omitempty"`
}

// destination is what one of the members of a request says: exactly one is set.
type destination struct {
	Extended *extendedS3    `json:"ExtendedS3,omitempty"`
	HTTP     *httpEndpoint  `json:"HttpEndpoint,omitempty"`
	Source   *kinesisSource `json:"KinesisSource,omitempty"`
	Plain    bool           `json:"S3,omitempty"` // it came as S3DestinationConfiguration
}

// or returns what p points to, or what stands in for it.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func ptr[T any](v T) *T { return &v }
