"use strict";

// Boxes in columns, from where a pipeline begins to where it ends; each link is a line from one box to another.
const COLUMN = 270, GAP = 210, ROW_GAP = 34, CALLS_SHOWN = 5, EVERY_MS = 2000, LATE_SECONDS = 10;
const QUIET = new Set(["active", "enabled", "running"]);

const byId = (id) => document.getElementById(id);
const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const drawn = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const duration = (seconds) => {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
};

// What is one thing under several ARNs (a table and its stream) is one box.
function read({ flows, things, calls }) {
  const boxes = new Map();
  const box = (arn) => {
    const thing = things[arn], key = `${thing.kind} ${thing.name} ${thing.place}`;
    if (!boxes.has(key)) boxes.set(key, { ...thing, key, calls: [], column: 0 });
    return boxes.get(key);
  };
  const links = flows.map((flow) => ({ ...flow, from: box(flow.source), to: box(flow.target) })).filter((link) => link.from !== link.to);
  for (const [caller, operations] of Object.entries(calls)) {
    const name = caller.split("/").at(-1);
    for (const one of boxes.values())
      if (one.kind === "function" && one.name.split(":")[0] === name) one.calls = Object.entries(operations).sort((a, b) => b[1] - a[1]);
  }
  return { boxes: [...boxes.values()], links };
}

// A box stands one column behind the last one that leads to it. Rings: as many rounds as there are boxes are enough.
function place(boxes, links) {
  for (let round = 0; round < boxes.length; round += 1) {
    let moved = false;
    for (const { from, to } of links) {
      if (to.column <= from.column && from.column + 1 < boxes.length) { to.column = from.column + 1; moved = true; }
    }
    if (!moved) break;
  }
  const used = [...new Set(boxes.map((box) => box.column))].sort((a, b) => a - b);
  for (const box of boxes) box.column = used.indexOf(box.column);
}

function boxElement(box) {
  const made = element("div", undefined, "thing");
  made.style.width = `${COLUMN}px`;
  made.append(element("div", box.kind, "kind"), element("div", box.name, "name"));
  if (box.place) made.append(element("div", box.place, "place"));
  if (box.calls.length) {
    const list = element("ul", undefined, "calls");
    for (const [operation, count] of box.calls.slice(0, CALLS_SHOWN)) {
      const item = element("li", operation);
      item.append(element("span", count.toLocaleString()));
      list.append(item);
    }
    made.append(list);
  }
  return made;
}

const look = (link) => {
  if (link.problem) return "bad";
  return link.behind_seconds !== null && link.behind_seconds >= LATE_SECONDS ? "late" : "flows";
};

function remarks(link) {
  const said = [];
  if (!QUIET.has(link.state)) said.push(link.state);
  if (link.waiting) said.push(`${link.waiting.toLocaleString()} wait`);
  if (link.behind_seconds !== null && link.behind_seconds >= 1) said.push(`${duration(link.behind_seconds)} behind`);
  return said.join(", ");
}

function draw(answer) {
  const { boxes, links } = read(answer);
  byId("empty").hidden = boxes.length > 0;
  const picture = byId("picture");
  place(boxes, links);
  const svg = drawn("svg", {}), ends = drawn("defs", {});
  for (const name of ["flows", "late", "bad"]) {
    const marker = drawn("marker", { id: name, class: name, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" });
    marker.append(drawn("path", { d: "M0 0 8 4 0 8z" }));
    ends.append(marker);
  }
  svg.append(ends);
  picture.replaceChildren(svg);
  const below = [];
  // A box stands beside what leads to it, where there is room.
  for (const box of [...boxes].sort((a, b) => a.column - b.column)) {
    box.element = boxElement(box);
    picture.append(box.element);
    box.height = box.element.offsetHeight;
    const before = links.filter((link) => link.to === box && link.from.y !== undefined);
    const wanted = before.length ? Math.min(...before.map((link) => link.from.y)) : 0;
    box.y = Math.max(below[box.column] || 0, wanted);
    box.x = box.column * (COLUMN + GAP);
    below[box.column] = box.y + box.height + ROW_GAP;
    Object.assign(box.element.style, { left: `${box.x}px`, top: `${box.y}px` });
  }
  const out = new Map(), into = new Map();
  for (const link of links) {
    const start = { x: link.from.x + COLUMN, y: port(link.from, links.filter((one) => one.from === link.from), link, out) };
    const end = { x: link.to.x, y: port(link.to, links.filter((one) => one.to === link.to), link, into) };
    const bend = Math.max(60, Math.abs(end.x - start.x) / 2), kind = look(link);
    const off = QUIET.has(link.state) ? "" : " off";
    svg.append(drawn("path", { class: kind + off, "marker-end": `url(#${kind})`, d: `M${start.x} ${start.y}C${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x} ${end.y}` }));
    const by = element("div", link.by, "by");
    Object.assign(by.style, { left: `${(start.x + end.x) / 2}px`, top: `${(start.y + end.y) / 2}px`, maxWidth: `${GAP - 30}px` });
    if (remarks(link)) by.append(element("div", remarks(link), link.problem ? "bad" : "late"));
    if (link.problem) by.append(element("div", link.problem, "bad"));
    picture.append(by);
  }
  const width = Math.max(0, ...boxes.map((box) => box.x + COLUMN)), height = Math.max(0, ...boxes.map((box) => box.y + box.height));
  Object.assign(picture.style, { width: `${width}px`, height: `${height}px` });
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
  say(`${counted(boxes.length, "thing")}, ${counted(links.length, "link")}`);
}

// The lines of a box's side are spread over its height.
function port(box, lines, link, taken) {
  const number = taken.get(box.key) || 0;
  taken.set(box.key, number + 1);
  return box.y + (box.height * (number + 1)) / (lines.length + 1);
}

function say(text, className = "") {
  byId("said").textContent = text;
  byId("said").className = className;
}

async function go() {
  try {
    const answer = await fetch("/_headrace/flows");
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    draw(await answer.json());
  } catch (error) {
    say(`The server does not answer: ${error.message}`, "bad");
  }
  setTimeout(go, EVERY_MS);
}

go();
