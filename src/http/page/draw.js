// The drawings: the histogram, the dial. Each is redrawn from what is known.

import { count, span } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

const make = (name, attributes, text) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

const edge = (us) => (us === 250 ? ".25 ms" : us < 1000 ? `.${us / 10}`.replace(/0+$/, "") : us < 1e6 ? `${us / 1000}` : us < 60e6 ? `${us / 1e6} s` : us < 3600e6 ? `${us / 60e6} min` : "1 h");

/** Below which so many of all values are: the bound of a bucket. */
export function within(late, share) {
  let left = late.count * share;
  const index = late.counts.findIndex((n) => { left -= n; return left <= 0; });
  return Math.min(late.bounds_us[index] ?? late.max_us, late.max_us);
}

/** How many of all values are at most this, which is one of the bounds. */
export const atMost = (late, us) => late.counts.slice(0, late.bounds_us.indexOf(us) + 1).reduce((sum, n) => sum + n, 0) / late.count;

export function histogram(svg, said, late) {
  // Up to a second always, so that the picture keeps its shape; beyond only where there is something.
  const last = late.counts.findLastIndex((n) => n > 0);
  const shown = Math.max(late.bounds_us.indexOf(1e6), last) + 1;
  const counts = late.counts.slice(0, shown);
  const most = Math.max(...counts, 1);
  const wide = 396 / shown;
  const nodes = [];
  counts.forEach((n, index) => {
    const h = n === 0 ? 0 : Math.max(2, (n / most) * 84);
    const over = late.bounds_us[index - 1] >= 1e5 ? "over" : "";
    if (h > 0) nodes.push(make("rect", { class: over, x: index * wide + 3, width: wide - 2, y: 92 - h, height: h }));
    const bound = late.bounds_us[index];
    const label = bound !== undefined && (wide > 32 || [250, 1000, 5000, 25000, 1e5, 5e5, 2.5e6, 1e7, 3e8].includes(bound));
    // The last ends at the edge, and is not cut off there.
    const isLast = index === counts.length - 1;
    const at = isLast ? { x: 398, class: "last" } : { x: (index + 1) * wide + 2 };
    if (label) nodes.push(make("text", { ...at, y: 105 }, edge(bound)));
  });
  nodes.push(make("line", { x1: 2, x2: 398, y1: 92, y2: 92 }));
  svg.replaceChildren(...nodes);
  const words = counts.map((n, i) => n > 0 && `${count(n)} up to ${late.bounds_us[i] ? span(late.bounds_us[i]) : "more"}`).filter(Boolean);
  const text = words.length > 0 ? words.join(", ") : "no request yet";
  if (said.textContent !== text) said.textContent = text;
}

export function dial(svg, list, levels) {
  const known = new Map(levels.map((level) => [level.level, level]));
  const slots = (level) => known.get(level)?.slot_us ?? 1000 * 64 ** level;
  const rings = [0, 1, 2, 3, 4];
  const nodes = [];
  const lines = [];
  for (const level of [...rings, ...[...known.keys()].filter((l) => l > 4)]) {
    const used = known.get(level)?.occupied ?? 0;
    lines.push([`${span(slots(level))} each`, `${used}`]);
    if (level > 4) continue;
    const ring = { cx: 60, cy: 60, r: 54 - level * 9, pathLength: 64, transform: "rotate(-90 60 60)" };
    nodes.push(make("circle", ring));
    if (used > 0) {
      const dashes = Array.from({ length: used }, () => ".62 .38").join(" ");
      nodes.push(make("circle", { ...ring, class: "used" }));
      nodes.at(-1).style.strokeDasharray = `${dashes} 0 ${64 - used}`;
    }
  }
  nodes.push(make("circle", { class: "pin", cx: 60, cy: 60, r: 3 }));
  svg.replaceChildren(...nodes);
  list.replaceChildren(...lines.map(([name, value]) => {
    const line = document.createElement("li");
    const b = document.createElement("b");
    b.textContent = value;
    line.append(name, b);
    return line;
  }));
}
