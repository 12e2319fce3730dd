// Plays the session that the page's address names, and says in one line how it goes.
"use strict";

const video = document.getElementById("video");
const status = document.getElementById("status");
const playlist = "getHLSMasterPlaylist.m3u8" + location.search;
let problem = "";
let recoveries = 0;

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
    const code = data.response ? data.response.code : 0;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && recoveries < 3) {
      recoveries += 1;
      player.recoverMediaError();
    } else if (data.type === Hls.ErrorTypes.NETWORK_ERROR && (code === 0 || code >= 500)) {
      problem = "The server does not answer; trying again ...";
      setTimeout(() => {
        // Before the first playlist there is nothing to go on with.
        if (player.levels.length) player.startLoad();
        else player.loadSource(playlist);
      }, 1000);
    } else {
      problem = `The stream can't be played: ${data.details}${code ? ` (HTTP ${code})` : ""}. If the session is over, open it again.`;
    }
    show();
  });
  player.on(Hls.Events.FRAG_BUFFERED, () => { problem = ""; });
  player.loadSource(playlist);
  player.attachMedia(video);
  window.player = player;
} else {
  video.src = playlist;
}
video.addEventListener("canplay", () => video.play().catch(() => {}));
setInterval(show, 500);
