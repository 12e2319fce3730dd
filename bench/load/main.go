// load: sends AWS requests as fast as a server answers them, over a fixed number of connections.
//
// Each request has a body of its own and is signed (SigV4), as a real client's is. Requests are written to bare TCP
// connections, so that the generator takes as little of the machine as it can. Prints one JSON object.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type target struct {
	address, key, secret, region, service, action, contentType, path, signedPath string
	body                                                                         func(worker, number int) string
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (t *target) signingKey(day string) []byte {
	return mac(mac(mac(mac([]byte("AWS4"+t.secret), day), t.region), t.service), "aws4_request")
}

func (t *target) request(key []byte, day, stamp string, worker, number int) []byte {
	body := t.body(worker, number)
	signed, action, actionHeader := "content-type;host;x-amz-date", "", ""
	if t.action != "" {
		signed += ";x-amz-target"
		action = "\nx-amz-target:" + t.action
		actionHeader = "\r\nX-Amz-Target: " + t.action
	}
	canonical := "POST\n" + t.signedPath + "\n\ncontent-type:" + t.contentType + "\nhost:" + t.address + "\nx-amz-date:" + stamp +
		action + "\n\n" + signed + "\n" + digest(body)
	scope := day + "/" + t.region + "/" + t.service + "/aws4_request"
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+digest(canonical)))
	var b strings.Builder
	b.Grow(len(body) + 600)
	b.WriteString("POST " + t.path + " HTTP/1.1\r\nHost: " + t.address + "\r\nContent-Type: " + t.contentType + "\r\nX-Amz-Date: " + stamp +
		actionHeader + "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + t.key + "/" + scope +
		", SignedHeaders=" + signed + ", Signature=" + signature +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	return []byte(b.String())
}

// answer reads one HTTP/1.1 response; its status.
func answer(reader *bufio.Reader) (int, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("not HTTP: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	length, chunked := 0, false
	for {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ":")
		switch strings.ToLower(name) {
		case "content-length":
			length, err = strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				return 0, err
			}
		case "transfer-encoding":
			chunked = strings.Contains(strings.ToLower(value), "chunked")
		}
	}
	for chunked {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		size, err := strconv.ParseInt(strings.TrimRight(string(line), "\r\n"), 16, 64)
		if err != nil {
			return 0, err
		}
		if _, err = reader.Discard(int(size) + 2); err != nil {
			return 0, err
		}
		if size == 0 {
			return status, nil
		}
	}
	_, err = reader.Discard(length)
	return status, err
}

type tally struct {
	latencies []time.Duration
	errors    int
	problem   string
}

func run(t *target, worker int, until time.Time, most int) tally {
	var result tally
	connection, err := net.Dial("tcp", t.address)
	if err != nil {
		return tally{problem: err.Error(), errors: 1}
	}
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 64<<10)
	var stamp, day string
	var key []byte
	var stampedAt time.Time
	for number := 0; number < most; number++ {
		now := time.Now()
		if now.After(until) {
			return result
		}
		if now.Sub(stampedAt) > time.Second {
			stamp = now.UTC().Format("20060102T150405Z")
			if day != stamp[:8] {
				day = stamp[:8]
				key = t.signingKey(day)
			}
			stampedAt = now
		}
		raw := t.request(key, day, stamp, worker, number)
		begin := time.Now()
		if _, err := connection.Write(raw); err != nil {
			result.errors++
			result.problem = err.Error()
			return result
		}
		status, err := answer(reader)
		if err != nil {
			result.errors++
			result.problem = err.Error()
			if err != io.EOF {
				return result
			}
			connection.Close()
			if connection, err = net.Dial("tcp", t.address); err != nil {
				return result
			}
			reader.Reset(connection)
			continue
		}
		if status != 200 {
			result.errors++
			result.problem = fmt.Sprintf("status %d", status)
			continue
		}
		result.latencies = append(result.latencies, time.Since(begin))
	}
	return result
}

// records is the body of one PutRecords.
func records(name, record string, number, count int) string {
	var b strings.Builder
	b.WriteString(`{"StreamName":"` + name + `","Records":[`)
	for n := 0; n < count; n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"PartitionKey":"%d-%d","Data":"%s"}`, number, n, record)
	}
	b.WriteString("]}")
	return b.String()
}

func main() {
	t := &target{}
	mode := flag.String("mode", "noop", "noop, answer, put-record, put-records, get-records, invoke, or one of "+strings.Join(tableModes, ", "))
	name := flag.String("name", "bench", "the table, stream or function")
	workers := flag.Int("c", 64, "connections")
	seconds := flag.Float64("seconds", 5, "how long")
	size := flag.Int("size", 1024, "bytes of the value in each item or record")
	keys := flag.Int("keys", 1000000, "how many different keys a connection uses")
	most := flag.Int("most", math.MaxInt, "requests that each connection sends, then it ends")
	batch := flag.Int("batch", 500, "records in each request of put-records")
	iterator := flag.String("iterator", "", "the shard iterator that get-records reads from, again and again")
	flag.StringVar(&t.address, "address", "127.0.0.1:4566", "host:port")
	flag.StringVar(&t.key, "key", os.Getenv("AWS_ACCESS_KEY_ID"), "access key id")
	flag.StringVar(&t.secret, "secret", os.Getenv("AWS_SECRET_ACCESS_KEY"), "secret access key")
	flag.StringVar(&t.region, "region", "us-east-1", "region")
	sizes := flag.String("sizes", "", "of answer: LIMIT=BYTES,…, how long the answer to a GetRecords with that Limit is")
	flag.Parse()
	if *mode == "answer" {
		serveCanned(t.address, *sizes)
		return
	}
	value := strings.Repeat("x", *size)
	record := strings.Repeat("eHh4", (*size+2)/3)
	t.path, t.signedPath = "/", "/"
	// No two runs write the same: a put that changes nothing would cost a server nothing.
	begun := time.Now().UnixMilli() * 1000000
	switch *mode {
	case "noop":
		// The same request as PutItem's, signed and with its body, to a path that reads it and does nothing.
		t.service, t.action, t.contentType = "dynamodb", "DynamoDB_20120810.PutItem", "application/x-amz-json-1.0"
		t.body = tableBodies(*name, value, *keys, begun)["put-item"].make
		t.path = "/_headrace/noop"
	case "put-record":
		t.service, t.action, t.contentType = "kinesis", "Kinesis_20131202.PutRecord", "application/x-amz-json-1.1"
		t.body = func(w, n int) string {
			return fmt.Sprintf(`{"StreamName":"%s","PartitionKey":"%d-%d","Data":"%s"}`, *name, w, n, record)
		}
	case "put-records":
		// Made before the clock runs: a real producer makes its records elsewhere. Hashing and signing them stays.
		t.service, t.action, t.contentType = "kinesis", "Kinesis_20131202.PutRecords", "application/x-amz-json-1.1"
		var batches [16]string
		for n := range batches {
			batches[n] = records(*name, record, n, *batch)
		}
		t.body = func(w, n int) string { return batches[(w+n)%len(batches)] }
	case "get-records":
		t.service, t.action, t.contentType = "kinesis", "Kinesis_20131202.GetRecords", "application/x-amz-json-1.1"
		t.body = func(w, n int) string { return fmt.Sprintf(`{"ShardIterator":"%s","Limit":10000}`, *iterator) }
	case "invoke":
		t.service, t.contentType = "lambda", "application/json"
		t.path = "/2015-03-31/functions/" + *name + "/invocations"
		t.signedPath = t.path
		t.body = func(w, n int) string { return fmt.Sprintf(`{"worker":%d,"number":%d}`, w, n) }
	default:
		body, known := tableBodies(*name, value, *keys, begun)[*mode]
		if !known {
			fmt.Fprintln(os.Stderr, "load: unknown mode", *mode)
			os.Exit(2)
		}
		t.service, t.action, t.contentType = "dynamodb", "DynamoDB_20120810."+body.action, "application/x-amz-json-1.0"
		t.body = body.make
	}
	begin := time.Now()
	until := begin.Add(time.Duration(*seconds * float64(time.Second)))
	results := make([]tally, *workers)
	var group sync.WaitGroup
	for worker := range results {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			results[worker] = run(t, worker, until, *most)
		}(worker)
	}
	group.Wait()
	took := time.Since(begin).Seconds()
	var all []time.Duration
	errors, problem := 0, ""
	for _, one := range results {
		all = append(all, one.latencies...)
		errors += one.errors
		if one.problem != "" {
			problem = one.problem
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": len(all), "errors": errors, "problem": problem, "seconds": took,
		"per_second": float64(len(all)) / took, "p50_ms": at(0.5), "p99_ms": at(0.99),
	})
}
