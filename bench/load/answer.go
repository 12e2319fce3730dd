package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// serveCanned answers Kinesis reads with made-up pages: what a reader costs its machine where no server does the reading.
// sizes are "LIMIT=BYTES,…": how long the answer to a GetRecords with that Limit is.
func serveCanned(address, sizes string) {
	pages := map[string][]byte{}
	for _, one := range strings.Split(sizes, ",") {
		limit, size, _ := strings.Cut(one, "=")
		count, err := strconv.Atoi(size)
		if err != nil {
			fmt.Fprintln(os.Stderr, "-sizes wants LIMIT=BYTES,…")
			os.Exit(2)
		}
		tail := `","MillisBehindLatest":0,"NextShardIterator":"canned"}`
		pages[limit] = canned(`{"Records":"` + strings.Repeat("A", max(0, count-len(tail)-12)) + tail)
	}
	iterator := canned(`{"ShardIterator":"canned"}`)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go answerAll(connection, pages, iterator)
	}
}

func canned(body string) []byte {
	return []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func answerAll(connection net.Conn, pages map[string][]byte, iterator []byte) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for {
		length := 0
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				break
			}
			if name, value, found := strings.Cut(line, ":"); found && strings.EqualFold(name, "content-length") {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(reader, body); err != nil {
			return
		}
		page := iterator
		if _, rest, found := strings.Cut(string(body), `"Limit":`); found {
			page = pages[strings.TrimRight(strings.TrimSpace(rest), "}")]
		}
		if _, err := connection.Write(page); err != nil {
			return
		}
	}
}
