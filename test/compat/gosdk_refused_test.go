// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// refusals calls the operations that Leat does not have, in a form that AWS would take. docs/compat.md says why each is
// not built.
func refusals() map[string]func(context.Context, *kinesis.Client) error {
	channel := aws.String("arn:aws:kinesis:" + region + ":" + account + ":channel/c")
	return map[string]func(context.Context, *kinesis.Client) error{
		"CreateChannel": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.CreateChannel(ctx, &kinesis.CreateChannelInput{
				ChannelName:             aws.String("c"),
				ServiceExecutionRoleARN: aws.String("arn:aws:iam::" + account + ":role/r"),
				StreamConfigurationList: []types.ChannelStreamConfiguration{{StreamARN: arnOf("s"), RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeJson}}},
				S3DestinationConfiguration: &types.S3DestinationConfiguration{
					DataFreshnessInSeconds: aws.Int32(300),
					StorageConfiguration: &types.S3StorageConfiguration{
						BucketARN: aws.String("arn:aws:s3:::b"), ExpectedBucketOwner: aws.String(account), CompressionType: types.S3CompressionTypeGzip,
					},
				},
			})
			return err
		},
		"DeleteChannel": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.DeleteChannel(ctx, &kinesis.DeleteChannelInput{ChannelARN: channel})
			return err
		},
		"DescribeChannel": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.DescribeChannel(ctx, &kinesis.DescribeChannelInput{ChannelARN: channel})
			return err
		},
		"ListChannels": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.ListChannels(ctx, &kinesis.ListChannelsInput{})
			return err
		},
		"UpdateChannel": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.UpdateChannel(ctx, &kinesis.UpdateChannelInput{ChannelARN: channel})
			return err
		},
		"UpdateStreamRecordDistributionStrategy": func(ctx context.Context, k *kinesis.Client) error {
			_, err := k.UpdateStreamRecordDistributionStrategy(ctx, &kinesis.UpdateStreamRecordDistributionStrategyInput{
				StreamARN: arnOf("s"), RecordDistributionStrategy: types.RecordDistributionStrategyAuto,
			})
			return err
		},
	}
}
