// Shows what the agent says, and says so when the agent is gone: "Starting" after 2 s, "Out of service" after 15 s.
const OWN = null; // the door's own text, as the agent last told it
const WORDS = {
  starting: ["Starting", "One moment"],
  idle: ["Tap your card", "or show QR code"],
  reading: ["Checking", "Hold still"],
  granted_in: ["Welcome", "Go through now"],
  granted_out: ["Goodbye", "Go through now"],
  checked_in: ["Checked in", "Come in"],
  one_at_a_time: ["One at a time", "Step back"],
  staff_called: ["Please wait", "Staff are coming"],
  staff_away: ["Please wait", OWN],
  closed: ["Closed", OWN],
  held_open: ["Door is open", "Please walk in"],
  fire: ["Do not enter", "Leave building"],
  door_alarm: ["Close the door", "Thank you"],
  identify: ["This door", "Staff look for it"],
  out_of_service: ["Out of service", OWN],
  gone: ["Out of service", OWN],
};
const DENIALS = {
  D1: ["Try again", "Hold card longer"],
  D2: ["Not valid here", "Please ask staff"],
  D3: ["Not open now", "Please come later"],
  D4: ["Code expired", "Show a new one"],
  D5: ["Full right now", "Please wait here"],
  D6: ["Please wait", "Staff are coming"],
  E4: ["Please wait", "Clock not set"],
};
const STARTING_AFTER_MS = 2000;
const GONE_AFTER_MS = 15000;
const by = (id) => document.getElementById(id);

let socket;
let lostAt = performance.now();
let isUp = false;
let openUntil = 0;
let ownText = "Ring the bell";

function words(view) {
  const [headline, line] = (view.state === "denied" && DENIALS[view.code]) || WORDS[view.state] || DENIALS.D2;
  return [headline, line === OWN ? ownText : line];
}

function show(view) {
  ownText = view.text || ownText;
  const [headline, line] = words(view);
  document.body.dataset.state = view.state;
  document.body.classList.toggle("offline", Boolean(view.offline));
  by("headline").textContent = headline;
  by("line").textContent = line;
  by("link").hidden = !view.offline;
  by("support").textContent = [view.code, view.support].filter(Boolean).join("  ");
  by("panel").hidden = !view.simulated;
  openUntil = view.state.startsWith("granted") && view.left_ms ? performance.now() + view.left_ms : 0;
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onmessage = (message) => {
    isUp = true;
    show(JSON.parse(message.data));
  };
  socket.onclose = () => {
    if (isUp) lostAt = performance.now();
    isUp = false;
    setTimeout(connect, 500);
  };
}

function tick() {
  by("clock").textContent = new Date().toTimeString().slice(0, 5);
  const now = performance.now();
  if (openUntil) {
    const left = Math.ceil((openUntil - now) / 1000);
    if (left > 0) by("line").textContent = `Go through now ${left}`;
  }
  if (isUp) return;
  const gone = now - lostAt;
  if (gone > GONE_AFTER_MS) show({ state: "gone" });
  else if (gone > STARTING_AFTER_MS) show({ state: "starting" });
}

by("panel").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !isUp) return;
  const { do: action, reader, state } = button.dataset;
  const args = {};
  if (reader) args.reader = reader;
  if (state) args.state = state;
  if (action === "tap") args.uid = by("uid").value.trim();
  socket.send(JSON.stringify({ do: action, args }));
  by("pressed").textContent = button.textContent;
});

setInterval(tick, 200);
connect();
