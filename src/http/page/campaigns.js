// The campaigns, and how far they are.

import { $, begin, make, put } from "./shell.js";
import { count } from "./words.js";

const AGAIN_MS = 10_000;

/** A state's lamp. */
const LAMPS = { draft: "off", scheduled: "good", paused: "warn", done: "good", cancelled: "bad" };

function row(campaign) {
  const { id, name, state, suggested, approved, rejected, scheduled, waiting } = campaign;
  const number = (n, what) => make("td", { className: "num", "data-what": what }, n ? count(n) : "–");
  return make("tr", { "data-id": id },
    make("td", {}, make("a", { href: `/campaigns/${id}` }, name)),
    make("td", {}, make("span", { className: "lamp", "data-is": LAMPS[state] || "warn" }, state)),
    number(suggested, "to decide"), number(approved, "approved"), number(rejected, "rejected"), number(scheduled, "scheduled"), number(waiting, "to be sent"));
}

async function load() {
  const answer = await fetch("/api/campaigns").catch(() => null);
  const all = answer?.ok ? await answer.json().catch(() => null) : null;
  if (!all) {
    put("none", "The campaigns cannot be read now.");
    return;
  }
  // Who reads a row by keyboard stays on it.
  const at = document.activeElement?.closest?.("#campaign-rows tr")?.dataset.id;
  $("campaign-rows").replaceChildren(...all.map(row));
  if (at) $("campaign-rows").querySelector(`tr[data-id="${at}"] a`)?.focus();
  $("campaigns").hidden = all.length === 0;
  put("none", all.length === 0 ? "There is no campaign." : "");
}

begin(() => {});
load();
/** Again after a while, and not more than a tenth of the time. */
async function follow() {
  const began = performance.now();
  if (!document.hidden) await load();
  setTimeout(follow, Math.max(AGAIN_MS, 10 * (performance.now() - began)));
}
setTimeout(follow, AGAIN_MS);
