// Shows what the agent says, and says so when the agent is gone: "Starting" after 2 s, "Out of service" after 15 s.
const STARTING_AFTER_MS = 2000;
const GONE_AFTER_MS = 15000;
const by = (id) => document.getElementById(id);

let socket;
let lostAt = performance.now();
let isUp = false;
let openUntil = 0;
let goThrough = "";
let zone; // the browser's own until the agent names the site's
let pressed = ""; // what the panel was last asked to do
let ownText = "Ring the bell"; // until the agent says what this door says

// A zone that this browser does not know must cost the page nothing.
function known(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return name;
  } catch {
    return "";
  }
}

function show(view) {
  ownText = view.text || ownText;
  zone = known(view.tz) || zone;
  document.body.dataset.state = view.state;
  document.body.classList.toggle("offline", Boolean(view.offline));
  by("headline").textContent = view.headline;
  by("line").textContent = view.line;
  goThrough = view.line;
  by("link").hidden = !view.offline;
  by("support").textContent = [view.code, view.support].filter(Boolean).join("  ");
  by("panel").hidden = !view.simulated;
  for (const button of by("panel").querySelectorAll("[data-input]")) {
    button.hidden = !(view.parts || []).includes(button.dataset.input);
  }
  openUntil = view.state.startsWith("granted") && view.left_ms ? performance.now() + view.left_ms : 0;
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onmessage = (message) => {
    isUp = true;
    const told = JSON.parse(message.data);
    if ("pressed" in told) by("pressed").textContent = told.pressed || pressed;
    else show(told);
  };
  socket.onclose = () => {
    if (isUp) lostAt = performance.now();
    isUp = false;
    setTimeout(connect, 500);
  };
}

function tick() {
  by("clock").textContent = new Date().toLocaleTimeString("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
  const now = performance.now();
  if (openUntil) {
    const left = Math.ceil((openUntil - now) / 1000);
    if (left > 0) by("line").textContent = `${goThrough} ${left}`;
  }
  if (isUp) return;
  const gone = now - lostAt;
  if (gone > GONE_AFTER_MS) show({ state: "gone", headline: "Out of service", line: ownText });
  else if (gone > STARTING_AFTER_MS) show({ state: "starting", headline: "Starting", line: "One moment" });
}

by("panel").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !isUp) return;
  const { do: action, reader, input, state } = button.dataset;
  const args = {};
  if (reader) args.reader = reader;
  if (input) args.input = input;
  if (state) args.state = state;
  if (action === "tap") args.uid = by("uid").value.trim();
  pressed = button.textContent;
  by("pressed").textContent = pressed;
  socket.send(JSON.stringify({ do: action, args }));
});

setInterval(tick, 200);
connect();
