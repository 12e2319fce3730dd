// Drives Chromium: node browser.mjs WHAT JSON-ARGUMENTS; prints what was seen as one line of JSON.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const build = path.resolve(import.meta.dirname, "../../build/browser");
const { chromium } = require(path.join(build, "playwright-core"));

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns", "--ignore-certificate-errors",
];

// The time that is burnt into a picture: 16 squares of 20 pixels, in pictures 320 wide.
const BURNT_IN = `function burntIn(video) {
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 180;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 320, 180);
  const row = context.getImageData(0, 10, 320, 1).data;
  let value = 0;
  for (let bit = 0; bit < 16; bit += 1) if (row[(bit * 20 + 10) * 4] > 128) value += 2 ** bit;
  return value;
}`;

async function look(page) {
  return page.evaluate(`(() => { ${BURNT_IN}
    const video = document.querySelector("video");
    return { time: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth,
             burnt: video.videoWidth ? burntIn(video) : null, error: video.error && video.error.message,
             status: (document.getElementById("status") || {}).textContent };
  })()`);
}

async function watch(page, given) {
  await page.waitForFunction(
    (from) => { const video = document.querySelector("video"); return video && video.currentTime > from && video.getVideoPlaybackQuality().totalVideoFrames > 5; },
    given.from || 0.2, { timeout: 30000 },
  );
  const first = await look(page);
  console.log("playing");
  await page.waitForFunction((time) => document.querySelector("video").currentTime > time, first.time + given.seconds, { timeout: 60000 });
  const second = await look(page);
  await page.screenshot({ path: given.screenshot });
  return { first, second };
}

const tasks = {
  async hls(context, given) {
    const page = await context.newPage();
    const problems = [];
    page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
    await page.goto(given.page);
    return { ...(await watch(page, given)), problems };
  },

  async dash(context, given) {
    const page = await context.newPage();
    await page.goto(given.origin);
    await page.setContent('<video muted autoplay width="640"></video>');
    await page.addScriptTag({ path: path.join(build, "dashjs/dist/modern/umd/dash.all.min.js") });
    await page.evaluate((manifest) => {
      const player = dashjs.MediaPlayer().create();
      window.problems = [];
      player.on("error", (event) => window.problems.push(JSON.stringify(event.error)));
      player.initialize(document.querySelector("video"), manifest, true);
    }, given.manifest);
    const seen = await watch(page, given);
    return { ...seen, problems: await page.evaluate("window.problems") };
  },

  async webrtc(context, given) {
    const open = async () => {
      const page = await context.newPage();
      await page.goto(given.origin);
      await page.setContent('<canvas width="320" height="180"></canvas><video muted autoplay width="320"></video>');
      await page.addScriptTag({ path: path.join(build, "amazon-kinesis-video-streams-webrtc/dist/kvs-webrtc.min.js") });
      return page;
    };
    const master = await open();
    await master.evaluate(async (given) => {
      const canvas = document.querySelector("canvas");
      const context = canvas.getContext("2d");
      let at = 0;
      setInterval(() => {
        context.fillStyle = "rgb(20, 120, 60)";
        context.fillRect(0, 0, 320, 180);
        context.fillStyle = "white";
        context.fillRect((at += 4) % 320, 60, 40, 60);
      }, 40);
      const stream = canvas.captureStream(25);
      const client = new KVSWebRTC.SignalingClient({
        channelARN: given.channel, channelEndpoint: given.wss, role: KVSWebRTC.Role.MASTER, region: given.region,
        credentials: given.credentials,
      });
      window.seen = [];
      const peers = {};
      client.on("sdpOffer", async (offer, remote) => {
        window.seen.push(["offer", remote]);
        const peer = (peers[remote] = new RTCPeerConnection({ iceServers: given.iceServers }));
        peer.addEventListener("icecandidate", ({ candidate }) => candidate && client.sendIceCandidate(candidate, remote));
        stream.getTracks().forEach((track) => peer.addTrack(track, stream));
        await peer.setRemoteDescription(offer);
        await peer.setLocalDescription(await peer.createAnswer());
        client.sendSdpAnswer(peer.localDescription, remote);
      });
      client.on("iceCandidate", (candidate, remote) => peers[remote].addIceCandidate(candidate));
      client.on("statusResponse", (status) => window.seen.push(["status", status]));
      client.on("error", (error) => window.seen.push(["error", String(error)]));
      await new Promise((resolve, reject) => { client.on("open", resolve); client.on("error", reject); client.open(); });
    }, given);
    const viewer = await open();
    await viewer.evaluate(async (given) => {
      const client = new KVSWebRTC.SignalingClient({
        channelARN: given.channel, channelEndpoint: given.wss, role: KVSWebRTC.Role.VIEWER, clientId: "viewer-1",
        region: given.region, credentials: given.credentials,
      });
      const peer = new RTCPeerConnection({ iceServers: given.iceServers });
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.addEventListener("track", ({ streams }) => { document.querySelector("video").srcObject = streams[0]; });
      peer.addEventListener("icecandidate", ({ candidate }) => candidate && client.sendIceCandidate(candidate));
      client.on("open", async () => {
        await peer.setLocalDescription(await peer.createOffer());
        client.sendSdpOffer(peer.localDescription);
      });
      client.on("sdpAnswer", (answer) => peer.setRemoteDescription(answer));
      client.on("iceCandidate", (candidate) => peer.addIceCandidate(candidate));
      window.peer = peer;
      client.open();
    }, given);
    const seen = await watch(viewer, given);
    return { ...seen, state: await viewer.evaluate("window.peer.connectionState"), master: await master.evaluate("window.seen") };
  },
};

tasks.pipeline = async (context, given) => {
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  await page.goto(given.page);
  await page.waitForSelector(".thing");
  const read = () => page.evaluate(() => ({
    said: document.getElementById("said").textContent,
    things: [...document.querySelectorAll(".thing")].map((one) => [one.querySelector(".kind").textContent, one.querySelector(".name").textContent, parseInt(one.style.left, 10)]),
    links: [...document.querySelectorAll("#picture > svg > path")].map((one) => one.getAttribute("class")),
    by: [...document.querySelectorAll(".by")].map((one) => one.textContent),
  }));
  const first = await read();
  console.log("playing");
  await page.waitForFunction((before) => document.getElementById("said").textContent !== before, first.said, { timeout: 20000 });
  await page.screenshot({ path: given.screenshot });
  return { first, second: await read(), problems };
};

const [what, text] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 900, height: 640 } });
  console.log(JSON.stringify(await tasks[what](context, JSON.parse(text))));
} finally {
  await browser.close();
}
