// Messages by outcome over time: stacked bars on a linear axis, from what the database counts.

import { $, isLost, make, now, onConnection, put } from "./shell.js";
import { count, counted, dateTime, time } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MINUTE = 60e3;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each zoom: how long a bar is, what the statistics call that, how often it is asked for while nothing happens, and from when to when it reaches. */
const ZOOMS = {
  "10 min": { bar: 10e3, by: "10s", every: 5e3, of: (at) => around(at, 10 * MINUTE) },
  "1 h": { bar: MINUTE, by: "minute", every: 15e3, of: (at) => around(at, HOUR) },
  Today: { bar: 15 * MINUTE, by: "15min", every: 60e3, of: (at) => [midnight(at, 0), midnight(at, 1)] },
  "7 days": { bar: HOUR, by: "hour", every: 300e3, of: (at) => [midnight(at, -6), midnight(at, 1)] },
};

/** How often it is asked for while something happens. */
const REST_MS = 5_000;

/** What is drawn together: its name, its statuses, in the order of the stack. */
const KINDS = [
  ["sent", ["delivered", "sent"]],
  ["waiting", ["pending", "sending"]],
  ["unconfirmed", ["unconfirmed"]],
  ["failed", ["failed"]],
  ["cancelled", ["cancelled"]],
];

function around(at, long) {
  const middle = Math.floor(at / MINUTE) * MINUTE;
  return [middle - long / 2, middle + long / 2];
}

/** The midnight so many days after that before a time, in the browser's zone. */
function midnight(at, days) {
  const date = new Date(at);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime();
}

const WIDTH = 1000;
const HEIGHT = 160;
let zoom = "Today";
let next = 0;
let restUntil = 0;
let isStale = false;
let range = [0, 0];

const svg = (name, attributes, ...children) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

/** A round number that is no less, for the axis. */
function round(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 4)));
  return [1, 2, 4, 5, 10].map((k) => k * power).find((each) => each >= n && each % 2 === 0) ?? 10 * power;
}

function collect(counts) {
  const bars = new Map();
  const sums = new Map(KINDS.map(([name]) => [name, 0]));
  for (const { key, status, messages } of counts) {
    const kind = KINDS.find(([, statuses]) => statuses.includes(status))?.[0];
    if (!kind) continue;
    const at = Date.parse(key);
    const bar = bars.get(at) || new Map();
    bar.set(kind, (bar.get(kind) || 0) + messages);
    bars.set(at, bar);
    sums.set(kind, sums.get(kind) + messages);
  }
  return { bars, sums };
}

function draw({ counts, is_partial: isPartial }) {
  const [from, to] = range;
  const { bar: long } = ZOOMS[zoom];
  const { bars, sums } = collect(counts);
  const tallest = Math.max(0, ...[...bars.values()].map((bar) => [...bar.values()].reduce((a, b) => a + b, 0)));
  const top = round(tallest);
  const x = (at) => ((at - from) / (to - from)) * WIDTH;
  const nodes = [0.5, 1].map((part) => svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT * (1 - part), y2: HEIGHT * (1 - part) }));
  const wide = Math.max(1, x(from + long) - 1);
  for (const [at, bar] of bars) {
    let y = HEIGHT;
    for (const [kind] of KINDS) {
      const n = bar.get(kind);
      if (!n) continue;
      const h = Math.max(1.5, (n / top) * HEIGHT);
      y -= h;
      nodes.push(svg("rect", { class: kind, x: x(at), width: wide, y, height: h }));
    }
  }
  const at = now() / 1000;
  nodes.push(svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
  nodes.push(svg("line", { class: "hand-line", x1: x(at), x2: x(at), y1: 0, y2: HEIGHT }));
  $("chart").replaceChildren(...nodes);
  put("axis-top", count(top));
  put("axis-half", count(top / 2));
  ticks(from, to);
  legend(sums);
  const all = [...sums.values()].reduce((a, b) => a + b, 0);
  put("chart-said", all === 0 ? "No messages" : `${counted(all, "message")}${isPartial ? " and more than can be counted" : ""}, at most ${count(tallest)} in ${ZOOMS[zoom].by.replace(/^(hour|minute)$/, "a $1").replace("15min", "15 minutes").replace("10s", "10 s")}`);
}

function ticks(from, to) {
  const parts = $("ticks").clientWidth < 500 ? 3 : 6;
  const isDays = to - from > 2 * DAY;
  $("ticks").replaceChildren(...Array.from({ length: parts + 1 }, (_, n) => {
    const at = from + ((to - from) * n) / parts;
    const words = isDays ? dateTime(at * 1000, 0).replace(/:\d\d$/, "") : time(at * 1000).replace(/:00$/, "");
    const node = make("span", {}, words);
    node.style.left = `${(n / parts) * 100}%`;
    return node;
  }));
}

const iso = (ms) => new Date(ms).toISOString();

function legend(sums) {
  $("legend").replaceChildren(...KINDS.map(([kind, statuses]) => {
    const query = new URLSearchParams({ status: statuses.join(","), from: iso(range[0]), to: iso(range[1]) });
    return make("li", { "data-is": kind }, make("a", { href: `/?${query}`, className: "filter" }, `${kind} ${count(sums.get(kind))}`));
  }));
}

/** Something happened: it is asked for sooner. */
export function chartIsStale() {
  isStale = true;
}

export async function drawChart(force = false) {
  const { every, of, by } = ZOOMS[zoom];
  const began = performance.now();
  if (document.hidden || isLost() || (!force && began < (isStale ? restUntil : next))) return;
  [next, restUntil, isStale] = [began + every, began + REST_MS, false];
  range = of(now() / 1000);
  const own = zoom;
  const query = new URLSearchParams({ by, from: iso(range[0]), to: iso(range[1]) });
  const answer = await fetch(`/api/stats?${query}`).catch(() => null);
  // A database that takes long is asked less often.
  restUntil = Math.max(restUntil, performance.now() + 20 * (performance.now() - began));
  next = Math.max(next, restUntil);
  if (own !== zoom || isLost()) return;
  if (answer?.ok) draw(await answer.json());
  else put("chart-said", $("chart").childElementCount > 0 ? "cannot be read now: what is drawn is older" : "cannot be read now");
}

$("zooms").replaceChildren(...Object.keys(ZOOMS).map((name) => {
  const button = make("button", { type: "button", "aria-pressed": name === zoom }, name);
  button.addEventListener("click", () => {
    zoom = name;
    for (const each of $("zooms").children) each.setAttribute("aria-pressed", each === button);
    drawChart(true);
  });
  return button;
}));

/** A bar leads to its messages. */
export function onBar(then) {
  $("chart").addEventListener("click", (event) => {
    const box = $("chart").getBoundingClientRect();
    const { bar } = ZOOMS[zoom];
    const at = range[0] + ((event.clientX - box.left) / box.width) * (range[1] - range[0]);
    const from = Math.floor(at / bar) * bar;
    then(new URLSearchParams({ from: iso(from), to: iso(from + bar) }));
  });
}

addEventListener("resize", () => range[1] > 0 && ticks(...range));
onConnection((lost) => !lost && drawChart(true));
