// Plays the session that the page's address names, and says in one line how it goes.
"use strict";

const video = document.getElementById("video");
const status = document.getElementById("status");
const playlist = "getHLSMasterPlaylist.m3u8" + location.search;
let problem = "";

function show() {
  if (problem) {
    status.textContent = problem;
    return;
  }
  const quality = video.getVideoPlaybackQuality();
  const buffered = video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
  const size = video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : "sound alone";
  status.textContent =
    `${size} · ${video.currentTime.toFixed(1)} s · ${quality.totalVideoFrames} frames shown, ` +
    `${quality.droppedVideoFrames} dropped · ${buffered.toFixed(1)} s ahead`;
}

if (Hls.isSupported()) {
  const player = new Hls({ enableWorker: false, liveSyncDurationCount: 2, lowLatencyMode: false });
  player.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    const code = data.response ? ` (HTTP ${data.response.code})` : "";
    problem = `The stream can't be played: ${data.details}${code}. If the session is over, open it again.`;
    show();
  });
  player.loadSource(playlist);
  player.attachMedia(video);
  window.player = player;
} else {
  video.src = playlist;
}
video.addEventListener("canplay", () => video.play().catch(() => {}));
setInterval(show, 500);
