"use strict";

const byId = (id) => document.getElementById(id);
const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const get = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.json();
};

let shown = [];
let next = null;
let chosen = location.hash.slice(1);

const time = (seconds) => {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
};

const state = (message) => {
  if (message.failure) return ["not sent", "bad"];
  if (!message.relay) return ["", ""];
  const bad = message.relay.status === "failed" || Object.keys(message.relay.refused).length;
  return [message.relay.status, bad ? "bad" : "mark"];
};

function drawList() {
  byId("list").replaceChildren(...shown.map((message) => {
    const button = element("button");
    const top = element("div", undefined, "row");
    const [text, className] = state(message);
    top.append(element("span", [...message.to, ...message.cc, ...message.bcc].join(", ")), element("span", text, className), element("span", time(message.sent_at)));
    button.append(top, element("div", message.subject || "(no subject)", "subject"));
    if (message.id === chosen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => { location.hash = message.id; });
    const item = element("li");
    item.append(button);
    return item;
  }));
  byId("empty").hidden = shown.length > 0;
  byId("more").hidden = next === null;
}

async function load(after) {
  const query = new URLSearchParams({ limit: "50" });
  const to = byId("filter").value.trim();
  if (to) query.set("to", to);
  if (after) query.set("after", after);
  const answer = await get(`/_headrace/mail?${query}`);
  if (after) {
    shown.push(...answer.messages);
    next = answer.next;
  } else {
    const older = shown.slice(answer.messages.length ? shown.findIndex((one) => one.id === answer.messages.at(-1).id) + 1 : shown.length);
    const overlap = shown.some((one) => answer.messages.length && one.id === answer.messages.at(-1).id);
    shown = overlap ? [...answer.messages, ...older] : answer.messages;
    next = overlap && older.length ? next : answer.next;
  }
  byId("count").textContent = answer.total === 1 ? "1 message" : `${answer.total} messages`;
  drawList();
}

const fact = (list, name, value, className) => {
  if (!value || (Array.isArray(value) && !value.length)) return;
  list.append(element("dt", name), element("dd", Array.isArray(value) ? value.join(", ") : value, className));
};

function drawMessage(message) {
  const article = byId("message");
  const facts = element("dl");
  fact(facts, "From", message.from);
  fact(facts, "To", message.to);
  fact(facts, "Cc", message.cc);
  fact(facts, "Bcc", message.bcc);
  fact(facts, "Sent", new Date(message.sent_at * 1000).toLocaleString());
  fact(facts, "Template", message.template);
  fact(facts, "Attached", message.attachments.map((one) => `${one.name || one.type} (${one.size_bytes} bytes)`));
  fact(facts, "Problem", message.failure, "bad");
  if (message.relay) {
    fact(facts, "Relay", `${message.relay.status}${message.relay.response ? `: ${message.relay.response}` : ""}`, message.relay.status === "failed" ? "bad" : "");
    fact(facts, "Refused", Object.entries(message.relay.refused).map(([who, why]) => `${who}: ${why}`), "bad");
  }
  const views = [];
  if (message.html !== null) views.push(["HTML", () => {
    // The mail runs no script, loads nothing from elsewhere and cannot reach this page.
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "");
    frame.setAttribute("referrerpolicy", "no-referrer");
    frame.title = "The message";
    frame.srcdoc = message.html;
    return frame;
  }]);
  if (message.text !== null) views.push(["Text", () => element("pre", message.text)]);
  views.push(["Headers", () => element("pre", message.headers.map(([name, value]) => `${name}: ${value}`).join("\n"))]);
  views.push(["Source", () => {
    const place = element("pre", "…");
    fetch(`/_headrace/mail/${message.id}/raw`).then((answer) => answer.text()).then((text) => { place.textContent = text; });
    return place;
  }]);
  const tabs = element("div", undefined, "tabs");
  const body = element("div");
  body.style.display = "contents";
  const choose = (index) => {
    [...tabs.children].forEach((tab, at) => tab.setAttribute("aria-pressed", String(at === index)));
    body.replaceChildren(views[index][1]());
  };
  views.forEach(([name], index) => {
    const tab = element("button", name);
    tab.addEventListener("click", () => choose(index));
    tabs.append(tab);
  });
  article.replaceChildren(element("h2", message.subject || "(no subject)"), facts, tabs, body);
  choose(0);
}

async function open() {
  chosen = location.hash.slice(1);
  drawList();
  if (!chosen) return;
  try {
    drawMessage(await get(`/_headrace/mail/${encodeURIComponent(chosen)}`));
  } catch (error) {
    byId("message").replaceChildren(element("p", `This message cannot be shown: ${error.message}`, "hint bad"));
  }
}

let typing;
byId("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { shown = []; load(); }, 200);
});
byId("more").addEventListener("click", () => load(next));
addEventListener("hashchange", open);
load().then(open);
setInterval(() => { if (!document.hidden) load().catch(() => {}); }, 3000);
