// Runs JavaScript functions: AWS's Lambda Runtime API on one side, a handler (CommonJS or a module; async, callback or streaming) on
// the other. Standard library alone.
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import util from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
// Kept: libraries put their own in place of it, to trace what functions call.
const httpRequest = http.request;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const API = "/2018-06-01/runtime";
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HTTP_TYPE = "application/vnd.awslambda.http-integration-response";
let requestId = "";

function request(method, target, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host, port, method, path: API + target, agent, headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(parts) }));
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function post(target, text, headers = {}) {
  const body = Buffer.from(text);
  return request("POST", target, body, { "Content-Type": "application/json", "Content-Length": body.length, ...headers });
}

function describe(error) {
  if (util.types.isNativeError(error) || error instanceof Error) {
    const cause = error.cause instanceof Error ? { cause: describe(error.cause) } : {};
    return { errorType: error.name || "Error", errorMessage: error.message, trace: (error.stack || "").split("\n"), ...cause };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function fail(target, error) {
  const described = describe(error);
  writeLog("ERROR", [target.startsWith("/init") ? "Uncaught Exception" : "Invoke Error", JSON.stringify({ ...described, stack: described.trace })]);
  return post(target, JSON.stringify(described), { "Lambda-Runtime-Function-Error-Type": described.errorType });
}

// Logs.

const LEVELS = { TRACE: 0, DEBUG: 1, INFO: 2, WARN: 3, ERROR: 4, FATAL: 5 };
const JSON_LOGS = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const LEVEL_MIN = LEVELS[process.env.AWS_LAMBDA_LOG_LEVEL] ?? 0;

function writeLog(level, values) {
  if (JSON_LOGS && LEVELS[level] < LEVEL_MIN) return;
  const stamp = new Date().toISOString();
  if (JSON_LOGS) {
    const message = values.length === 1 && typeof values[0] !== "string" ? values[0] : util.format(...values);
    const error = values.find((value) => value instanceof Error);
    const line = { timestamp: stamp, level, requestId, message: error ? util.format(...values) : message };
    if (error) Object.assign(line, { errorType: error.name, errorMessage: error.message, stackTrace: (error.stack || "").split("\n") });
    process.stdout.write(JSON.stringify(line) + "\n");
  } else {
    process.stdout.write(`${stamp}\t${requestId || "undefined"}\t${level}\t${util.format(...values).replace(/\n/g, "\r")}\n`);
  }
}

for (const [name, level] of [["log", "INFO"], ["info", "INFO"], ["debug", "DEBUG"], ["warn", "WARN"], ["error", "ERROR"], ["trace", "TRACE"]]) {
  console[name] = (...values) => writeLog(level, values);
}

// Streams.

globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = "response";
    if (options?.highWaterMark) handler[Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark")] = options.highWaterMark;
    return handler;
  },
  HttpResponseStream: {
    from(stream, metadata) {
      stream.setContentType(HTTP_TYPE);
      stream.begin(Buffer.concat([Buffer.from(JSON.stringify(metadata ?? {})), Buffer.alloc(8)]));
      return stream;
    },
  },
};

class ResponseStream extends Writable {
  constructor(id) {
    super({ highWaterMark: 64 * 1024 });
    this.id = id;
    this.type = "application/octet-stream";
    this.prelude = null;
    this.sent = null;
    this.done = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
  }
  setContentType(type) { this.type = type; }
  begin(prelude) { this.prelude = prelude; }
  open() {
    if (this.sent) return this.sent;
    const headers = {
      "Content-Type": this.type, "Transfer-Encoding": "chunked", "Lambda-Runtime-Function-Response-Mode": "streaming",
      Trailer: ["Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"],
    };
    this.sent = httpRequest({ host, port, agent, method: "POST", path: `${API}/invocation/${this.id}/response`, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => this.resolve());
    });
    this.sent.on("error", (error) => this.reject(error));
    this.sent.flushHeaders();
    if (this.prelude) this.sent.write(this.prelude);
    return this.sent;
  }
  _write(chunk, encoding, callback) { this.open().write(chunk, callback); }
  _final(callback) { this.open().end(); callback(); }
  fail(error) {
    const described = describe(error);
    this.open().addTrailers({
      "Lambda-Runtime-Function-Error-Type": described.errorType,
      "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(described)).toString("base64"),
    });
    this.sent.end();
  }
}

// The handler.

async function load(name) {
  const root = process.env.LAMBDA_TASK_ROOT;
  const found = /^(.*\/)?([^/]*?)\.(.+)$/.exec(name);
  if (!found) throw Object.assign(new Error(`Bad handler ${name}`), { name: "Runtime.MalformedHandlerName" });
  const [, folder = "", file, exported] = found;
  const base = path.resolve(root, folder, file);
  const full = [base, `${base}.js`, `${base}.mjs`, `${base}.cjs`].find((one) => existsSync(one) && path.extname(one));
  if (!full) throw Object.assign(new Error(`Error: Cannot find module '${file}'`), { name: "Runtime.ImportModuleError" });
  let module;
  if (full.endsWith(".mjs") || (full.endsWith(".js") && isModule(path.dirname(full)))) {
    module = await import(pathToFileURL(full).href);
  } else {
    module = createRequire(pathToFileURL(full))(full);
  }
  const handler = exported.split(".").reduce((value, key) => value?.[key], module) ?? exported.split(".").reduce((value, key) => value?.[key], module?.default);
  if (handler === undefined) throw Object.assign(new Error(`${name} is undefined or not exported`), { name: "Runtime.HandlerNotFound" });
  if (typeof handler !== "function") throw Object.assign(new Error(`${name} is not a function`), { name: "Runtime.HandlerNotFound" });
  return handler;
}

function isModule(folder) {
  for (;;) {
    const file = path.join(folder, "package.json");
    if (existsSync(file)) return JSON.parse(readFileSync(file)).type === "module";
    const above = path.dirname(folder);
    if (above === folder) return false;
    folder = above;
  }
}

function contextOf(headers, settle) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: requestId,
    clientContext: parsed("lambda-runtime-client-context"),
    identity: parsed("lambda-runtime-cognito-identity"),
    getRemainingTimeInMillis: () => deadline - Date.now(),
    done: (error, result) => settle(error, result),
    succeed: (result) => settle(null, result),
    fail: (error) => settle(error ?? new Error("handled")),
  };
}

let onEmpty = null; // what ends the invocation when nothing is left to wait for
process.on("beforeExit", () => onEmpty?.());

function call(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let context;
    const settle = (error, result) => {
      const end = () => (error ? reject(error) : resolve(result));
      if (context.callbackWaitsForEmptyEventLoop) onEmpty = end;
      else end();
    };
    context = contextOf(headers, settle);
    onEmpty = () => resolve(null);
    const returned = handler(event, context, settle);
    if (typeof returned?.then === "function") {
      onEmpty = () => {
        fail(`/invocation/${requestId}/error`, Object.assign(new Error("The handler's promise was never settled"), { name: "Runtime.NodeJsExit" })).then(() => process.exit(1));
      };
      returned.then(resolve, reject);
    }
  });
}

async function serve(handler) {
  for (;;) {
    requestId = "";
    const next = await request("GET", "/invocation/next");
    requestId = next.headers["lambda-runtime-aws-request-id"];
    process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
    const stream = handler[STREAMING] ? new ResponseStream(requestId) : null;
    try {
      const event = JSON.parse(next.body);
      if (stream) {
        const context = contextOf(next.headers, () => {});
        stream.on("error", () => {});
        await handler(event, stream, context);
        if (!stream.writableEnded) stream.end();
        await stream.done;
      } else {
        const result = await call(handler, event, next.headers);
        onEmpty = null;
        await post(`/invocation/${requestId}/response`, JSON.stringify(result === undefined ? null : result));
      }
    } catch (error) {
      onEmpty = null;
      if (stream?.sent) {
        writeLog("ERROR", ["Invoke Error", JSON.stringify(describe(error))]);
        stream.fail(error);
        await stream.done;
      } else {
        await fail(`/invocation/${requestId}/error`, error);
      }
    }
  }
}

for (const [event, kind] of [["uncaughtException", null], ["unhandledRejection", "Runtime.UnhandledPromiseRejection"]]) {
  process.on(event, (error) => {
    const told = kind ? Object.assign(new Error(describe(error).errorMessage), { name: kind, stack: error?.stack }) : error;
    const target = requestId ? `/invocation/${requestId}/error` : "/init/error";
    fail(target, told).finally(() => process.exit(requestId ? 128 : 129));
  });
}

try {
  const handler = await load(process.argv[2]);
  await serve(handler);
} catch (error) {
  await fail("/init/error", error);
  process.exit(1);
}
