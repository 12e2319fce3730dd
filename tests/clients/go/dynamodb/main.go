// The AWS SDK for Go v2 on DynamoDB, with its attributevalue and expression packages. Argument: the table's name.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// Order is what the table keeps: every kind of value that the mapper knows.
type Order struct {
	Customer string            `dynamodbav:"customer"`
	Number   int               `dynamodbav:"number"`
	Status   string            `dynamodbav:"status"`
	Total    float64           `dynamodbav:"total"`
	Paid     bool              `dynamodbav:"paid"`
	Raw      []byte            `dynamodbav:"raw,omitempty"`
	Tags     []string          `dynamodbav:"tags,stringset,omitempty"`
	Lines    []Line            `dynamodbav:"lines,omitempty"`
	Notes    map[string]string `dynamodbav:"notes,omitempty"`
}

// Line is one line of an order.
type Line struct {
	Product string `dynamodbav:"product"`
	Count   int    `dynamodbav:"count"`
}

var ctx, cancel = context.WithTimeout(context.Background(), time.Minute)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func same(what string, found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		log.Fatalf("%s: found %#v, not %#v", what, found, expected)
	}
}

func item(one Order) map[string]types.AttributeValue { return must(attributevalue.MarshalMap(one)) }

func key(customer string, number int) map[string]types.AttributeValue {
	return must(attributevalue.MarshalMap(map[string]any{"customer": customer, "number": number}))
}

func create(client *dynamodb.Client, table *string) {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: kind}
	}
	part := func(name string, kind types.KeyType) types.KeySchemaElement {
		return types.KeySchemaElement{AttributeName: aws.String(name), KeyType: kind}
	}
	must(client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("customer", types.ScalarAttributeTypeS), attribute("number", types.ScalarAttributeTypeN),
			attribute("status", types.ScalarAttributeTypeS),
		},
		KeySchema: []types.KeySchemaElement{part("customer", types.KeyTypeHash), part("number", types.KeyTypeRange)},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String("by-status"),
			KeySchema:  []types.KeySchemaElement{part("status", types.KeyTypeHash), part("number", types.KeyTypeRange)},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}))
	if err := dynamodb.NewTableExistsWaiter(client).Wait(ctx, &dynamodb.DescribeTableInput{TableName: table}, time.Minute); err != nil {
		log.Fatal(err)
	}
}

// single puts, gets and updates one item, with conditions that hold and that do not.
func single(client *dynamodb.Client, table *string) {
	first := Order{
		Customer: "ada", Number: 1, Status: "new", Total: 12.5, Raw: []byte{0, 255}, Tags: []string{"a", "b"},
		Lines: []Line{{"pen", 2}, {"ink", 1}}, Notes: map[string]string{"to": "the door"},
	}
	absent := must(expression.NewBuilder().WithCondition(expression.AttributeNotExists(expression.Name("customer"))).Build())
	put := &dynamodb.PutItemInput{
		TableName: table, Item: item(first), ConditionExpression: absent.Condition(), ExpressionAttributeNames: absent.Names(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	must(client.PutItem(ctx, put))
	var failed *types.ConditionalCheckFailedException
	if _, err := client.PutItem(ctx, put); !errors.As(err, &failed) {
		log.Fatalf("a second put: %v", err)
	}
	var found Order
	must(0, attributevalue.UnmarshalMap(failed.Item, &found))
	same("the item that was in the way", found, first)
	got := must(client.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key("ada", 1), ConsistentRead: aws.Bool(true)}))
	found = Order{}
	must(0, attributevalue.UnmarshalMap(got.Item, &found))
	same("the item", found, first)

	pay := must(expression.NewBuilder().
		WithUpdate(expression.Set(expression.Name("paid"), expression.Value(true)).
			Set(expression.Name("total"), expression.Name("total").Plus(expression.Value(0.25))).
			Set(expression.Name("lines"), expression.ListAppend(expression.Name("lines"), expression.Value([]Line{{"cap", 1}}))).
			Add(expression.Name("tags"), expression.Value(&types.AttributeValueMemberSS{Value: []string{"c"}})).
			Remove(expression.Name("notes.to"))).
		WithCondition(expression.And(
			expression.Name("status").In(expression.Value("new"), expression.Value("late")),
			expression.Name("lines[0].count").GreaterThan(expression.Value(1)),
			expression.Name("tags").Contains("a"),
		)).Build())
	updated := must(client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: table, Key: key("ada", 1), UpdateExpression: pay.Update(), ConditionExpression: pay.Condition(),
		ExpressionAttributeNames: pay.Names(), ExpressionAttributeValues: pay.Values(), ReturnValues: types.ReturnValueAllNew,
	}))
	found = Order{}
	must(0, attributevalue.UnmarshalMap(updated.Attributes, &found))
	first.Paid, first.Total, first.Tags = true, 12.75, []string{"a", "b", "c"}
	first.Lines, first.Notes = append(first.Lines, Line{"cap", 1}), map[string]string{}
	same("the updated item", found, first)
}

// many writes a batch, reads it by pages, by an index and by its keys.
func many(client *dynamodb.Client, table *string) {
	var writes []types.WriteRequest
	for number := range 25 {
		status := []string{"new", "sent"}[number%2]
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item(Order{Customer: "bob", Number: number, Status: status})}})
	}
	wrote := must(client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{*table: writes}}))
	same("unprocessed items", len(wrote.UnprocessedItems), 0)
	bobs := must(expression.NewBuilder().
		WithKeyCondition(expression.Key("customer").Equal(expression.Value("bob")).
			And(expression.Key("number").Between(expression.Value(3), expression.Value(20)))).
		WithFilter(expression.Name("status").Equal(expression.Value("sent"))).
		WithProjection(expression.NamesList(expression.Name("number"))).Build())
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName: table, KeyConditionExpression: bobs.KeyCondition(), FilterExpression: bobs.Filter(),
		ProjectionExpression: bobs.Projection(), ExpressionAttributeNames: bobs.Names(), ExpressionAttributeValues: bobs.Values(),
		Limit: aws.Int32(4), ScanIndexForward: aws.Bool(false),
	})
	var numbers []int
	count := 0
	for ; pages.HasMorePages(); count++ {
		var orders []Order
		must(0, attributevalue.UnmarshalListOfMaps(must(pages.NextPage(ctx)).Items, &orders))
		for _, one := range orders {
			numbers = append(numbers, one.Number)
		}
	}
	same("the query", numbers, []int{19, 17, 15, 13, 11, 9, 7, 5, 3})
	same("its pages", count, 5)
	news := must(expression.NewBuilder().WithKeyCondition(expression.Key("status").Equal(expression.Value("new"))).Build())
	found := must(client.Query(ctx, &dynamodb.QueryInput{
		TableName: table, IndexName: aws.String("by-status"), KeyConditionExpression: news.KeyCondition(),
		ExpressionAttributeNames: news.Names(), ExpressionAttributeValues: news.Values(),
	}))
	same("the index", int(found.Count), 14)
	same("its projection", len(found.Items[0]), 3)
	got := must(client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		*table: {Keys: []map[string]types.AttributeValue{key("bob", 1), key("bob", 24), key("nobody", 0)}},
	}}))
	same("the batch", len(got.Responses[*table]), 2)
	scanned := 0
	for segment := range int32(2) {
		scan := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{
			TableName: table, Segment: aws.Int32(segment), TotalSegments: aws.Int32(2), Limit: aws.Int32(7),
		})
		for scan.HasMorePages() {
			scanned += len(must(scan.NextPage(ctx)).Items)
		}
	}
	same("the scan", scanned, 26)
}

// together writes and reads in transactions; one is cancelled whole.
func together(client *dynamodb.Client, table *string) {
	absent := aws.String("attribute_not_exists(customer)")
	put := func(number int) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{
			TableName: table, Item: item(Order{Customer: "cyd", Number: number, Status: "new"}), ConditionExpression: absent,
		}}
	}
	write := &dynamodb.TransactWriteItemsInput{
		ClientRequestToken: table,
		TransactItems: []types.TransactWriteItem{put(1), put(2), {
			Delete: &types.Delete{TableName: table, Key: key("bob", 0)},
		}},
	}
	must(client.TransactWriteItems(ctx, write))
	must(client.TransactWriteItems(ctx, write))
	var cancelled *types.TransactionCanceledException
	_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put(3), put(1)}})
	if !errors.As(err, &cancelled) {
		log.Fatalf("a transaction over an item that is there: %v", err)
	}
	same("the reasons", []string{*cancelled.CancellationReasons[0].Code, *cancelled.CancellationReasons[1].Code},
		[]string{"None", "ConditionalCheckFailed"})
	get := func(number int) types.TransactGetItem {
		return types.TransactGetItem{Get: &types.Get{TableName: table, Key: key("cyd", number)}}
	}
	read := must(client.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{get(1), get(2), get(3)}}))
	same("the items read", []bool{read.Responses[0].Item != nil, read.Responses[1].Item != nil, read.Responses[2].Item != nil},
		[]bool{true, true, false})
}

// changes reads the stream to its end.
func changes(client *dynamodb.Client, streams *dynamodbstreams.Client, table *string) {
	stream := must(client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table})).Table.LatestStreamArn
	described := must(streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: stream}))
	found := map[streamtypes.OperationType]int{}
	for _, shard := range described.StreamDescription.Shards {
		position := must(streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: stream, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})).ShardIterator
		for {
			page := must(streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: position}))
			for _, record := range page.Records {
				found[record.EventName]++
			}
			position = page.NextShardIterator
			if len(page.Records) == 0 || position == nil {
				break
			}
		}
	}
	same("the stream", found, map[streamtypes.OperationType]int{"INSERT": 28, "MODIFY": 1, "REMOVE": 1})
}

func main() {
	defer cancel()
	settings := must(config.LoadDefaultConfig(ctx))
	client, table := dynamodb.NewFromConfig(settings), aws.String(os.Args[1])
	create(client, table)
	single(client, table)
	many(client, table)
	together(client, table)
	changes(client, dynamodbstreams.NewFromConfig(settings), table)
	must(client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: table}))
	var gone *types.ResourceNotFoundException
	if _, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table}); !errors.As(err, &gone) {
		log.Fatalf("a deleted table: %v", err)
	}
	fmt.Println("ok")
}
