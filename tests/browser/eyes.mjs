// A browser on a line: takes one command a line, answers `ok …` or `no …`. What is seen is read
// from the page as a reader sees it; nothing is reloaded.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.BROWSER_TOOLS}/`);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "UTC" });
const page = await context.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(error.message));
// What the browser says of its own when nobody answers, there is no such message, or an act is refused, is no fault of the page.
const OWN = /net::ERR_|status of (400|401|404|409|502)/;
page.on("console", (message) => message.type() === "error" && !OWN.test(message.text()) && wrong.push(message.text()));
const foreign = [];
page.on("request", (request) => { if (!request.url().startsWith(context.home)) foreign.push(request.url()); });
const posted = [];
page.on("request", (request) => { if (request.method() === "POST") posted.push(request.url()); });
// How often the page has asked why messages failed.
let whys = 0;
page.on("request", (request) => { if (request.url().includes("/api/stats?by=reason")) whys += 1; });
// A request that is held, and what lets it go on.
let held;
let release;

// To see what is edited without a build: the page's files as they are in this directory.
const assets = process.env.BROWSER_ASSETS;
if (assets) await context.route("**/assets/*", (route) => route.fulfill({ path: `${assets}/${new URL(route.request().url()).pathname.split("/").pop()}` }));

const AMPLE = { timeout: 30_000 };
const row = (id) => `#list-rows tr[data-id="${id}"]`;

const commands = {
  async open(url) {
    context.home = new URL(url).origin;
    await page.goto(url);
    await page.evaluate(() => { window.opened = true; });
  },
  /** The login is one column at this width: title, label, input, button, hint, each below the one before. */
  async column(width) {
    await page.setViewportSize({ width: Number(width), height: 900 });
    const boxes = await page.evaluate(() => [".mark", "label", "#token", "button", "#why"].map((name) => {
      const { left, right, top, bottom } = document.querySelector(`.login ${name}`).getBoundingClientRect();
      return { name, left, right, top, bottom };
    }));
    boxes.forEach((box, n) => {
      const above = boxes[n - 1];
      if (above && box.top < above.bottom) throw new Error(`${box.name} is not below ${above.name}: ${JSON.stringify(boxes)}`);
      if (box.left < 0 || box.right > Number(width)) throw new Error(`${box.name} is cut off: ${JSON.stringify(box)}`);
      if (box.right - box.left > 400) throw new Error(`${box.name} is wider than the column: ${JSON.stringify(box)}`);
    });
  },
  async login(token) {
    await page.fill("#token", token);
    await page.press("#token", "Enter");
    await page.waitForSelector("#list-rows", { state: "attached", ...AMPLE });
    await page.evaluate(() => { window.opened = true; });
  },
  async sees(words) {
    await page.waitForFunction((w) => document.body.innerText.includes(w), words, AMPLE);
  },
  /** How often the page has asked by now why messages failed. */
  async whys() {
    return whys;
  },
  /** What needs people begins with this: how often the page had asked by then, and when that was, in ms. */
  async needed(words) {
    const at = await page.waitForFunction((w) => [...document.querySelectorAll("#need-list b")].some((need) => need.innerText === w) && Date.now(), words, AMPLE);
    return `${whys} ${await at.jsonValue()}`;
  },
  async upcoming(id) {
    await page.waitForSelector(row(id), AMPLE);
    return page.textContent(`${row(id)} td:nth-child(2)`);
  },
  async due(id, time) {
    await page.waitForFunction(([s, t]) => document.querySelector(s)?.textContent === t, [`${row(id)} td:nth-child(2)`, time], AMPLE);
  },
  async gone(id) {
    await page.waitForFunction((s) => !document.querySelector(s), row(id), AMPLE);
  },
  async fed(kind, id) {
    const found = await page.waitForFunction(([k, i]) => [...document.querySelectorAll("#feed li")]
      .find((line) => line.querySelector(".what")?.textContent === k && line.querySelector("a")?.title === i)
      ?.querySelector(".details")?.textContent, [kind, id], AMPLE);
    return found.jsonValue();
  },
  async counts() {
    const left = await page.evaluate(() => document.querySelector("#list-rows td.num")?.textContent);
    await page.waitForFunction((l) => document.querySelector("#list-rows td.num")?.textContent !== l, left, AMPLE);
  },
  async lost() {
    await page.waitForSelector("#lost:not([hidden])", AMPLE);
    await page.waitForFunction(() => document.getElementById("ready").textContent.startsWith("Connection lost"), null, AMPLE);
    // What may be over by now is not shown as good.
    const lamps = await page.evaluate(() => [...document.querySelectorAll(".lamp")].map((lamp) => getComputedStyle(lamp, "::before").backgroundColor));
    for (const lamp of lamps) if (lamp !== "rgba(0, 0, 0, 0)") throw new Error(`a lamp is ${lamp} without a connection`);
    // Nor is offered what cannot be done.
    await commands.absent("#acts button:enabled, #need-list button:enabled, #pause-all:enabled");
    // Nor does a countdown go on.
    await page.waitForTimeout(4_000);
    const left = () => page.evaluate(() => document.querySelector("#list-rows td.num")?.textContent);
    const before = await left();
    await page.waitForTimeout(2_100);
    if ((await left()) !== before) throw new Error("a countdown goes on without a connection");
  },
  async back() {
    await page.waitForSelector("#lost", { state: "hidden", ...AMPLE });
    await commands.good();
  },
  async good() {
    await page.waitForSelector('#ready[data-is="good"]', AMPLE);
  },
  /** Searches for an id in a tab of its own; what the message's page says. */
  async story(id) {
    const tab = await context.newPage();
    try {
      await tab.goto(context.home);
      await tab.keyboard.press("/");
      await tab.keyboard.type(id);
      await tab.keyboard.press("Enter");
      await tab.waitForURL(`**/messages/${id}`, AMPLE);
      await tab.waitForSelector("#facts div", { state: "attached", ...AMPLE });
      await tab.click("summary");
      return (await tab.innerText("body")).replaceAll("\n", " ");
    } finally {
      await tab.close();
    }
  },
  /** A page of its own of a message: it has these words without being loaded again. */
  async says(id, words) {
    context.own ??= await context.newPage();
    if (!context.own.url().endsWith(id)) await context.own.goto(`${context.home}/messages/${id}`);
    await context.own.waitForFunction((w) => document.body.innerText.includes(w), words, AMPLE);
  },
  /** What needs people, with these words: its link leads to a list with this message. */
  async needs(words, id) {
    const link = page.locator("#need-list li", { hasText: words }).locator("a");
    await link.click(AMPLE);
    await page.waitForSelector(row(id), AMPLE);
    return page.textContent(`${row(id)} .then`);
  },
  /** The chart at each zoom has bars of this kind; one of them leads to a list with this message. */
  async chart(kind, id) {
    for (const zoom of ["7 days", "Today", "1 h", "10 min"]) {
      await page.click(`#zooms button:text-is("${zoom}")`);
      await page.waitForSelector(`#zooms button[aria-pressed="true"]:text-is("${zoom}")`, AMPLE);
      await page.waitForSelector(`#chart rect.${kind}`, { state: "attached", ...AMPLE });
    }
    await page.waitForFunction(() => /in 10 s$/.test(document.getElementById("chart-said").textContent), null, AMPLE);
    await page.locator(`#chart rect.${kind}`).last().click({ force: true });
    await page.waitForSelector(row(id), AMPLE);
    await page.click("#clear");
  },
  async tab(name) {
    const hasText = new RegExp(`^${name}`);
    await page.locator("#tabs button", { hasText }).click();
    await page.locator('#tabs button[aria-pressed="true"]', { hasText }).waitFor(AMPLE);
  },
  /** So many tabs more, each with all that the first has, and how many streams they take together. */
  async tabs(many, id) {
    const tabs = [];
    for (let n = 0; n < Number(many); n += 1) tabs.push(await context.newPage());
    for (const tab of tabs) {
      await tab.goto(context.home);
      await tab.waitForSelector(row(id), AMPLE);
    }
    for (const tab of tabs) await tab.close();
  },
  /** What axe-core finds on the page and on that of a message, in this scheme. */
  async axe(scheme, id) {
    const source = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    const found = [];
    const tab = await context.newPage();
    await tab.emulateMedia({ colorScheme: scheme });
    for (const path of ["/", `/messages/${id}`, "/login"]) {
      await tab.goto(context.home + path);
      await tab.waitForTimeout(1_500);
      await tab.evaluate(source);
      const { violations } = await tab.evaluate(() => window.axe.run());
      found.push(...violations.map((v) => `${path}: ${v.id} ${v.nodes.map((n) => n.html.slice(0, 100)).join(" ")}`));
    }
    await tab.close();
    if (found.length > 0) throw new Error(found.join(" | "));
  },
  async keyboard() {
    // Everything that can be used is reached by the tab key, and is seen to be.
    await page.evaluate(() => {
      // From the top, wherever the last click was.
      const first = document.querySelector(".skip");
      first.focus();
      first.blur();
    });
    const reached = [];
    for (let n = 0; n < 120; n += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const now = document.activeElement;
        const outline = getComputedStyle(now);
        return now === document.body ? null : [now.id || now.className || now.tagName, outline.outlineStyle !== "none"];
      });
      if (!at) break;
      if (!at[1]) throw new Error(`no focus to be seen on ${at[0]}`);
      reached.push(at[0]);
    }
    for (const wanted of ["q", "keys", "pause", "feed"]) if (!reached.includes(wanted)) throw new Error(`${wanted} is not reached: ${reached}`);
  },
  async fits(width) {
    await page.setViewportSize({ width: Number(width), height: 800 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await page.setViewportSize({ width: 1440, height: 900 });
    if (over > 0) throw new Error(`${over} px too wide at ${width}`);
  },
  async calm() {
    // How much of two seconds the page is busy, and how often it changes the feed.
    const busy = await page.evaluate(() => new Promise((done) => {
      let changes = 0;
      let longest = 0;
      new MutationObserver(() => { changes += 1; }).observe(document.getElementById("feed"), { childList: true });
      new PerformanceObserver((list) => { for (const e of list.getEntries()) longest = Math.max(longest, e.duration); }).observe({ entryTypes: ["longtask"] });
      setTimeout(() => done([changes, Math.round(longest), document.querySelectorAll("#feed li").length]), 2_000);
    }));
    return busy.join(" ");
  },
  /** What the browser takes of a core for so many seconds, in percent: each kind of its processes, and the page's own thread. */
  async cost(seconds) {
    const whole = await browser.newBrowserCDPSession();
    const own = await context.newCDPSession(page);
    await own.send("Performance.enable");
    const used = async () => {
      const sums = {};
      for (const { type, cpuTime } of (await whole.send("SystemInfo.getProcessInfo")).processInfo) sums[type] = (sums[type] || 0) + cpuTime;
      const { metrics } = await own.send("Performance.getMetrics");
      return { ...sums, page: metrics.find(({ name }) => name === "TaskDuration").value, at: performance.now() / 1000 };
    };
    const before = await used();
    await page.waitForTimeout(Number(seconds) * 1_000);
    const after = await used();
    await Promise.all([whole.detach(), own.detach()]);
    const share = (kind) => (100 * (after[kind] - (before[kind] || 0))) / (after.at - before.at);
    return Object.keys(after).filter((kind) => kind !== "at").map((kind) => `${kind}=${share(kind).toFixed(2)}`).join(" ");
  },
  async picture(path, width, height, scheme) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width: Number(width), height: Number(height) });
    await page.waitForTimeout(1_500);
    await page.screenshot({ path });
  },
  /** Puts the keys on a message's row, and presses these. */
  async keys(id, ...keys) {
    await page.waitForSelector(row(id), AMPLE);
    await page.focus(`${row(id)} a.id`);
    for (const key of keys) await page.keyboard.press(key);
  },
  async type(key) {
    await page.locator("#main").focus();
    await page.keyboard.press(key);
  },
  async press(selector) {
    await page.locator(selector).first().click(AMPLE);
  },
  async fill(selector, value) {
    if ((await page.locator(selector).evaluate((node) => node.tagName)) === "SELECT") await page.selectOption(selector, value);
    else await page.fill(selector, value);
  },
  async enter(selector) {
    await page.press(selector, "Enter");
  },
  /** The next request to these addresses gets this answer. */
  async answers(pattern, status, body) {
    await page.route(pattern, (route) => route.fulfill({ status: Number(status), body, contentType: "application/json" }), { times: 1 });
  },
  /** The next request to these addresses waits until `release`. */
  async hold(pattern) {
    held = page.waitForRequest(pattern, AMPLE);
    await page.route(pattern, (route) => new Promise((go) => { release = go; }).then(() => route.continue()), { times: 1 });
  },
  async release() {
    const request = await held;
    release();
    await (await request.response()).finished();
    // After what follows the answer on the page.
    await page.evaluate(() => fetch("/healthz").then((answer) => answer.text()));
  },
  /** How many acts have been asked for whose address has these words. */
  async asked(words) {
    return posted.filter((url) => url.includes(words)).length;
  },
  /** This is there, and has these words. */
  async shown(selector, words) {
    await page.locator(selector, { hasText: words }).first().waitFor(AMPLE);
  },
  async absent(selector) {
    if ((await page.locator(selector).count()) > 0) throw new Error(`${selector} is there`);
  },
  /** It is there no more. */
  async "gone-from"(selector) {
    await page.waitForSelector(selector, { state: "detached", ...AMPLE });
  },
  /** The page that a link led to is new. */
  async begun() {
    await page.waitForSelector("#texts > li", AMPLE);
    await page.evaluate(() => { window.opened = true; });
  },
  async closed() {
    await page.waitForFunction(() => !document.querySelector("dialog[open]"), null, AMPLE);
  },
  /** Goes to a page of the daemon, and to its beginning as a new one. */
  async visit(path) {
    await page.goto(context.home + path);
    await page.evaluate(() => { window.opened = true; });
  },
  /** What axe-core finds in the page as it is, in this scheme, and whether it fits the width. Its picture has this name. */
  async looks(scheme, width, name) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width: Number(width), height: 900 });
    // Where its parts are by now, and not on the way there.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate(() => window.axe.run());
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    const cut = await page.evaluate(() => [...document.querySelectorAll("#list td, #campaigns td, .whom > *, .bubble")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent));
    const cropped = await page.evaluate(() => [...document.querySelectorAll("button, h1, h2, dd, dt, label, summary, .lamp")].filter((node) => node.checkVisibility() && !node.closest(".unseen") && node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflow !== "visible").map((node) => node.textContent));
    const folder = process.env.BROWSER_PICTURES;
    const isDialog = await page.evaluate(() => Boolean(document.querySelector("dialog[open]")));
    if (folder) await page.screenshot({ path: `${folder}/${name}-${width.padStart(4, "0")}-${scheme}.png`, fullPage: !isDialog });
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
    if (violations.length > 0) throw new Error(violations.map((v) => `${v.id} ${v.nodes.map((n) => n.html.slice(0, 100)).join(" ")}`).join(" | "));
    if (over > 0) throw new Error(`${over} px too wide at ${width}`);
    if (cut.length + cropped.length > 0) throw new Error(`cut off at ${width}: ${[...cut, ...cropped].join(" | ")}`);
  },
  /** Shows a text as a phone does, and taps the link in it: what the page that this leads to says. */
  async tap(text, destination) {
    const phone = await context.newPage();
    await phone.setContent(text.replace(/https?:\S+/, (link) => `<a href="${link}">${link}</a>`));
    await phone.click("a", AMPLE);
    await phone.waitForURL(destination, AMPLE);
    return phone.innerText("body");
  },
  async clean() {
    if (!(await page.evaluate(() => window.opened))) throw new Error("the page was loaded again");
    if (wrong.length > 0) throw new Error(wrong.join(" | "));
    if (foreign.length > 0) throw new Error(`asked elsewhere: ${foreign}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = line.split("\t");
  try {
    const found = await commands[name](...args);
    console.log(`ok ${found ?? ""}`.trim());
  } catch (error) {
    console.log(`no ${error.message.split("\n")[0]}; the page says: ${(await page.innerText("body").catch(() => "")).slice(0, 600).replaceAll("\n", " ")}`);
  }
}
await browser.close();
