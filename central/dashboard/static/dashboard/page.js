// The dashboard: keeps figures, doors and feed up to date, and says so when it cannot.
// Everything that comes from the server is data: it is put into the page as text, never as markup.

const ENTRIES = 50;
const FIGURES_EVERY_MS = 15_000;
const FIGURES_SOON_MS = 250;
const RECONNECT_MS = [250, 8_000];
const AGO_MS = 3_600_000;
const COMMAND_EVERY_MS = 300;
const COMMAND_FOR_MS = 75_000;
const WORDS = {
  grant: "granted", deny: "denied", alarm: "alarm", command: "command", good_news: "good news", mode: "door mode",
  passage_unused: "not used", passage_failed: "did not turn", passage_unknown: "end unknown",
};
const STATES = {
  pending: "asked", sent: "sent", queued: "received", done: "unlocked", failed: "failed", expired: "expired",
  refused: "refused", unknown: "outcome unknown",
};

const site = document.body.dataset.site;
const zone = shownZone(document.body.dataset.zone);
const query = site ? `?site=${encodeURIComponent(site)}` : "";
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short" });
const feed = document.getElementById("feed");
const link = document.getElementById("link");
const shown = new Map();
let freshAt = Date.now();
let aheadMs = Date.parse(document.body.dataset.now) - freshAt;
let isLive = false;
let soon = 0;
let attempt = 0;

// A zone that this browser does not know must cost the page nothing.
function shownZone(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return name;
  } catch {
    return "UTC";
  }
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function moment(ms) {
  const at = new Date(ms);
  const today = day.format(new Date());
  return day.format(at) === today ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
}

function line(entry) {
  const row = document.createElement("li");
  row.dataset.at = String(entry.at_ms);
  const what = element("span", WORDS[entry.what] ?? entry.what, "what");
  what.dataset.what = entry.what;
  const badge = document.createElement("span");
  badge.append(what);
  if (entry.is_late) badge.append(element("span", "late", "late"));
  const who = element("span", entry.who, "who");
  if (entry.detail) who.append(" ", element("span", entry.detail, "detail"));
  const where = element("span", entry.direction ? `${entry.door}, ${entry.direction}` : entry.door, "where");
  row.append(element("time", moment(entry.at_ms)), badge, who, where);
  return row;
}

// Newest first by the time it happened; what came late stands where it belongs.
function show(entries) {
  for (const entry of entries) {
    if (shown.has(entry.id)) continue;
    const row = line(entry);
    const after = [...feed.children].find((other) => Number(other.dataset.at) <= entry.at_ms);
    feed.insertBefore(row, after ?? null);
    shown.set(entry.id, row);
  }
  while (feed.children.length > ENTRIES) feed.lastElementChild.remove();
  for (const [id, row] of shown) if (!row.isConnected) shown.delete(id);
  document.getElementById("quiet").hidden = feed.children.length > 0;
}

function age(fromMs, toMs) {
  const seconds = Math.max(0, Math.round((toMs - fromMs) / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

// By central's clock: the one of this computer may be wrong.
function tellHeard() {
  const now = Date.now() + aheadMs;
  for (const time of document.querySelectorAll('[data-field="lastSeen"]')) {
    const at = Date.parse(time.dateTime);
    const isLong = now - at >= AGO_MS;
    const text = !time.dateTime ? "never" : isLong ? moment(at) : `${age(at, now)} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

function tell() {
  tellHeard();
  const isFresh = isLive && Date.now() - freshAt < 2 * FIGURES_EVERY_MS;
  document.body.classList.toggle("stale", !isFresh);
  link.dataset.state = isFresh ? "live" : "lost";
  const text = isFresh ? "Live" : `Connection lost; figures are ${age(freshAt, Date.now())} old`;
  if (link.textContent !== text) link.textContent = text;
}

function put(row, name, text) {
  const field = row.querySelector(`[data-field="${name}"]`);
  if (field.textContent !== text) field.textContent = text;
}

function showDoors(doors) {
  const rows = new Map([...document.querySelectorAll("tr[data-device]")].map((row) => [row.dataset.device, row]));
  if (doors.length !== rows.size || doors.some((door) => !rows.has(door.device))) {
    location.reload();
    return;
  }
  for (const door of doors) {
    const row = rows.get(door.device);
    row.dataset.state = door.state;
    row.dataset.tone = door.tone;
    put(row, "state", door.state);
    put(row, "says", door.says);
    row.querySelector('[data-field="lastSeen"]').dateTime = door.lastSeen ?? "";
    put(row, "waiting", door.waitingSays);
    put(row, "version", door.version);
  }
}

function showAlerts(alerts) {
  const section = document.getElementById("alerts");
  section.hidden = alerts.count === 0;
  section.querySelector("a").textContent = `${alerts.count} finding${alerts.count === 1 ? "" : "s"} to look at`;
  section.querySelector("ul").replaceChildren(...alerts.newest.map((alert) => {
    const row = element("li", `: ${alert.what}. ${alert.detail}`);
    row.prepend(element("b", alert.door));
    return row;
  }));
}

async function read(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
  if (answer.status === 401 || answer.status === 403) location.reload();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

async function refresh() {
  soon = 0;
  try {
    const found = await read(`/api/stats${query}`);
    for (const name of ["currentlyIn", "todayTotal", "averageStayMinutes"]) {
      document.getElementById(name).textContent = String(found[name]);
    }
    freshAt = Date.now();
    aheadMs = Date.parse(found.timestamp) - freshAt;
    showDoors(found.doors);
    showAlerts(found.alerts);
  } catch (fault) {
    console.warn(fault.message);
  }
  tell();
}

function refreshSoon() {
  if (!soon) soon = setTimeout(refresh, FIGURES_SOON_MS);
}

async function catchUp() {
  try {
    show((await read(`/api/feed${query}`)).entries);
  } catch (fault) {
    console.warn(fault.message);
  }
  refreshSoon();
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/live/${query}`);
  socket.addEventListener("open", () => {
    attempt = 0;
    isLive = true;
    catchUp();
  });
  socket.addEventListener("message", (message) => {
    show(JSON.parse(message.data).entries);
    refreshSoon();
  });
  socket.addEventListener("close", () => {
    isLive = false;
    tell();
    const [least, most] = RECONNECT_MS;
    setTimeout(connect, least + Math.random() * Math.min(most, least * 2 ** attempt));
    attempt += 1;
  });
}

async function follow(form, command) {
  const output = form.querySelector("output");
  const until = Date.now() + COMMAND_FOR_MS;
  const trail = [];
  for (;;) {
    const word = STATES[command.state] ?? command.state;
    if (trail.at(-1) !== word) trail.push(word);
    if (command.state === "done") output.textContent = word;
    else output.textContent = trail.join(", ") + (command.isOver && command.why ? `: ${command.why}` : "");
    if (command.isOver || Date.now() > until) return;
    await new Promise((resolve) => setTimeout(resolve, COMMAND_EVERY_MS));
    try {
      command = await read(`/commands/${command.id}`);
    } catch (fault) {
      console.warn(fault.message);
    }
  }
}

async function unlock(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const output = form.querySelector("output");
  const button = form.querySelector("button");
  button.disabled = true;
  output.textContent = "asking";
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(10_000),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    form.querySelector("[name=reason]").value = "";
    await follow(form, said);
  } catch (fault) {
    output.textContent = `not sent: ${fault.message}`;
  } finally {
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form.unlock")) form.addEventListener("submit", unlock);
tellHeard();
show(JSON.parse(document.getElementById("entries").textContent));
setInterval(refresh, FIGURES_EVERY_MS);
setInterval(tell, 1_000);
connect();
