// An external extension in Go, with nothing but its standard library: it registers, subscribes to telemetry, and writes to its log
// what it is told, a line of JSON each. It takes no telemetry before its third invocation, so that some must be dropped.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

var (
	base        = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API")
	invocations atomic.Int32
)

func say(what string, value any) {
	line, err := json.Marshal(map[string]any{"watcher": what, "value": value})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func ask(method, path, body string, headers map[string]string) (http.Header, map[string]any) {
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		panic(fmt.Sprintf("%s %s: %d %s %v", method, path, answer.StatusCode, text, err))
	}
	said := map[string]any{}
	_ = json.Unmarshal(text, &said)
	return answer.Header, said
}

func take(answer http.ResponseWriter, request *http.Request) {
	if invocations.Load() < 3 {
		http.Error(answer, "not yet", http.StatusServiceUnavailable)
		return
	}
	var events []map[string]any
	if err := json.NewDecoder(request.Body).Decode(&events); err != nil {
		say("broken", err.Error())
		return
	}
	for _, event := range events {
		if kind, _ := event["type"].(string); kind != "function" {
			say(kind, event["record"])
		}
	}
}

func main() {
	name := map[string]string{"Lambda-Extension-Name": filepath.Base(os.Args[0])}
	header, said := ask("POST", "/2020-01-01/extension/register", `{"events":["INVOKE","SHUTDOWN"]}`, name)
	say("registered", said["functionName"])
	me := map[string]string{"Lambda-Extension-Identifier": header.Get("Lambda-Extension-Identifier")}
	go func() { panic(http.ListenAndServe("sandbox.localdomain:8080", http.HandlerFunc(take))) }()
	ask("PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-12-13","types":["platform","function"],
		"buffering":{"timeoutMs":25},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}}`, me)
	for {
		_, event := ask("GET", "/2020-01-01/extension/event/next", "", me)
		if event["eventType"] == "SHUTDOWN" {
			say("shutdown", event["shutdownReason"])
			return
		}
		invocations.Add(1)
		say("invoke", event["requestId"])
	}
}
