// The AWS SDK for Go v2: put, get, subscribe. Arguments: stream, how many records.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, count := aws.String(os.Args[1]), must(strconv.Atoi(os.Args[2]))
	client := kinesis.NewFromConfig(must(config.LoadDefaultConfig(ctx)))
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)}))
	description := &kinesis.DescribeStreamInput{StreamName: stream}
	if err := kinesis.NewStreamExistsWaiter(client).Wait(ctx, description, 30*time.Second); err != nil {
		log.Fatal(err)
	}
	described := must(client.DescribeStream(ctx, description)).StreamDescription
	shard := described.Shards[0].ShardId
	consumer := must(client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: described.StreamARN, ConsumerName: aws.String("go"),
	})).Consumer
	for {
		found := must(client.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: consumer.ConsumerARN}))
		if found.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive {
			break
		}
	}
	subscription := must(client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: consumer.ConsumerARN, ShardId: shard,
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	})).GetStream()

	var expected, pushed, polled []string
	for number := range count {
		expected = append(expected, fmt.Sprintf("record %d", number))
	}
	go func() {
		for _, one := range expected {
			must(client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("k"), Data: []byte(one)}))
		}
	}()
	for event := range subscription.Events() {
		if records, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); ok {
			for _, record := range records.Value.Records {
				pushed = append(pushed, string(record.Data))
			}
		}
		if len(pushed) >= count {
			break
		}
	}
	subscription.Close()

	iterator := must(client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})).ShardIterator
	for len(polled) < count {
		answer := must(client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator}))
		for _, record := range answer.Records {
			polled = append(polled, string(record.Data))
		}
		iterator = answer.NextShardIterator
	}
	if !slices.Equal(expected, pushed) || !slices.Equal(expected, polled) {
		log.Fatalf("expected %v, pushed %v, polled %v", expected, pushed, polled)
	}
	must(client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: stream, EnforceConsumerDeletion: aws.Bool(true)}))
	fmt.Println("ok", count)
}
