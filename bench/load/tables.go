package main

import (
	"fmt"
	"strings"
)

var tableModes = []string{"put-item", "get-item", "update-item", "fill", "query", "get-filled", "batch-write", "transact-write"}

// A collection of items under one partition key, as "fill" writes them and "query" reads them.
const collectionItems = 20

// A batch of "fill" and "batch-write", and a transaction of "transact-write".
const batchItems, transactionItems = 20, 4

type tableBody struct {
	action string
	make   func(worker, number int) string
}

// spread gives the numbers below count in an order that jumps about, each once before any comes again if count has no factor 7919.
func spread(number, count int) int { return int(uint64(number) * 7919 % uint64(count)) }

// tableBodies are the requests to a table. "put-item", "get-item" and "update-item" know items by "id" alone; the others' tables have
// a sort key "sort", too, and of those `keys` collections.
func tableBodies(name, value string, keys int, begun int64) map[string]tableBody {
	key := func(collection, sort int) string {
		return fmt.Sprintf(`"id":{"S":"c%d"},"sort":{"N":"%d"}`, collection, sort)
	}
	batch := func(id func(n int) string, number int64) string {
		puts := make([]string, batchItems)
		for n := range puts {
			puts[n] = fmt.Sprintf(`{"PutRequest":{"Item":{%s,"n":{"N":"%d"},"value":{"S":"%s"}}}}`, id(n), number, value)
		}
		return `{"RequestItems":{"` + name + `":[` + strings.Join(puts, ",") + `]}}`
	}
	return map[string]tableBody{
		"put-item": {"PutItem", func(w, n int) string {
			return fmt.Sprintf(`{"TableName":"%s","Item":{"id":{"S":"%d-%d"},"n":{"N":"%d"},"value":{"S":"%s"}}}`, name, w, n%keys, begun+int64(n), value)
		}},
		"get-item": {"GetItem", func(w, n int) string {
			return fmt.Sprintf(`{"TableName":"%s","Key":{"id":{"S":"%d-%d"}}}`, name, w, n%keys)
		}},
		"update-item": {"UpdateItem", func(w, n int) string {
			return fmt.Sprintf(`{"TableName":"%s","Key":{"id":{"S":"%d-%d"}},"UpdateExpression":"SET n = :n",`+
				`"ConditionExpression":"attribute_not_exists(n) OR n <> :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}`, name, w, n%keys, begun+int64(n))
		}},
		// Each connection fills collections of its own: a tenth of a load's rate must not be spent on asking who has which.
		"fill": {"BatchWriteItem", func(w, n int) string {
			collection := w*keys + n
			return batch(func(sort int) string { return key(collection, sort) }, int64(n))
		}},
		"query": {"Query", func(w, n int) string {
			return fmt.Sprintf(`{"TableName":"%s","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"c%d"}}}`,
				name, spread(n+w*104729, keys))
		}},
		"get-filled": {"GetItem", func(w, n int) string {
			return fmt.Sprintf(`{"TableName":"%s","Key":{%s}}`, name, key(spread(n+w*104729, keys), n%collectionItems))
		}},
		"batch-write": {"BatchWriteItem", func(w, n int) string {
			return batch(func(sort int) string {
				return fmt.Sprintf(`"id":{"S":"b%d-%d"},"sort":{"N":"%d"}`, w, n%keys, sort)
			}, begun+int64(n))
		}},
		"transact-write": {"TransactWriteItems", func(w, n int) string {
			actions := make([]string, transactionItems)
			for action := range actions {
				actions[action] = fmt.Sprintf(`{"Update":{"TableName":"%s","Key":{"id":{"S":"t%d-%d"},"sort":{"N":"%d"}},`+
					`"UpdateExpression":"SET n = :n","ConditionExpression":"attribute_not_exists(n) OR n <> :n",`+
					`"ExpressionAttributeValues":{":n":{"N":"%d"}}}}`, name, w, n%keys, action, begun+int64(n))
			}
			return `{"TransactItems":[` + strings.Join(actions, ",") + `]}`
		}},
	}
}
