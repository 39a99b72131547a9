// The rotating pass: a key made on this phone signs a new code every 15 s, with or without a network.
//
// A code is "DSR1:" and base64url of the public key (32 bytes), the step (5 bytes, big-endian) and the signature over
// "doorstile-rotating-v1|STEP" (Ed25519). The private key cannot be taken out of the browser. docs/passes.md
import { qrcode } from "./vendor/qrcode-generator-2.0.4/qrcode.mjs";

const PREFIX = "DSR1:";
const STEP_MS = 15_000;
const QUIET_MODULES = 4;
const CLOCK_MATTERS_MS = 7_000;

const body = document.body;
const part = (id) => document.getElementById(id);
const bytesOf = (text) => new TextEncoder().encode(text);

let offsetMs = 0; // central's clock minus this phone's, as far as it was asked since the page was opened
let drawnStep = 0;

function say(state, text) {
  body.dataset.state = state;
  part("says").textContent = text;
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// What is kept: one pass, in the browser's own database

function request(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function store() {
  const opening = indexedDB.open("doorstile", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("passes");
  return request(opening);
}

async function kept(name) {
  const database = await store();
  return request(database.transaction("passes").objectStore("passes").get(name));
}

async function keep(name, pass) {
  const database = await store();
  const passes = database.transaction("passes", "readwrite").objectStore("passes");
  await request(pass ? passes.put(pass, name) : passes.delete(name));
}

// Registering: the key is kept before central hears of it, so that an answer that gets lost can be asked for again

async function makeKey(code) {
  const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { privateKey: pair.privateKey, publicKey: raw, code };
}

async function join(pass) {
  const proof = await crypto.subtle.sign("Ed25519", pass.privateKey, bytesOf(`doorstile-phone-v1|${pass.code}`));
  const answer = await fetch(body.dataset.keys, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      code: pass.code, public_key: base64url(pass.publicKey), proof: base64url(new Uint8Array(proof)),
    }),
  });
  const said = await answer.json();
  if (answer.ok) await keep("pass", { ...pass, sites: said.sites });
  await keep("joining", null);
  if (!answer.ok) throw new Error(said.error);
}

// The code

function now() {
  return Date.now() + offsetMs;
}

async function codeOf(pass, step) {
  const signed = await crypto.subtle.sign("Ed25519", pass.privateKey, bytesOf(`doorstile-rotating-v1|${step}`));
  const packed = new Uint8Array(32 + 5 + 64);
  packed.set(pass.publicKey, 0);
  for (let at = 36, rest = step; at >= 32; at -= 1, rest = Math.floor(rest / 256)) packed[at] = rest % 256;
  packed.set(new Uint8Array(signed), 37);
  return PREFIX + base64url(packed);
}

function draw(text) {
  const code = qrcode(0, "M");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  const path = [];
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      if (code.isDark(row, column)) path.push(`M${column + QUIET_MODULES} ${row + QUIET_MODULES}h1v1h-1z`);
    }
  }
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const size = count + 2 * QUIET_MODULES;
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  const modules = document.createElementNS(space, "path");
  modules.setAttribute("d", path.join(""));
  svg.append(modules);
  part("code").replaceChildren(svg);
  part("code").dataset.text = text;
}

async function tick(pass) {
  const at = now();
  const step = Math.floor(at / STEP_MS);
  part("left").value = STEP_MS / 1000 - (at % STEP_MS) / 1000;
  if (step === drawnStep) return;
  drawnStep = step;
  draw(await codeOf(pass, step));
  say("ready", "Hold it to the reader. Each code opens once.");
}

async function askTheTime() {
  try {
    const asked = Date.now();
    const { now_ms: told } = await (await fetch(body.dataset.clock, { cache: "no-store" })).json();
    const answered = Date.now();
    offsetMs = told - (asked + answered) / 2;
    const seconds = Math.round(Math.abs(offsetMs) / 1000);
    part("clock").textContent = Math.abs(offsetMs) < CLOCK_MATTERS_MS ? ""
      : `This phone's clock is ${seconds} s ${offsetMs > 0 ? "slow" : "fast"}. Offline, doors will refuse its codes.`;
  } catch {
    offsetMs = 0; // offline: the phone's own clock is all there is
  }
}

async function passOfThisPhone() {
  const code = location.hash.slice(1);
  if (code) {
    history.replaceState(null, "", location.pathname);
    if ((await kept("joining"))?.code !== code) await keep("joining", await makeKey(code));
  }
  const joining = await kept("joining");
  if (joining) await join(joining);
  return kept("pass");
}

async function main() {
  if (!window.isSecureContext) {
    say("trouble", "This page needs a secure address (https). Ask the desk for the right link.");
    return;
  }
  if (navigator.serviceWorker) navigator.serviceWorker.register(body.dataset.worker).catch(() => {});
  try {
    const pass = await passOfThisPhone();
    if (!pass) {
      say("none", "There is no pass on this phone. Open the link from the desk.");
      return;
    }
    part("where").textContent = pass.sites.join(", ") || "Your pass";
    await askTheTime();
    await tick(pass);
    setInterval(() => tick(pass), 250);
    navigator.wakeLock?.request("screen").catch(() => {});
  } catch (fault) {
    say("trouble", fault.message || "This browser cannot make the key. Use a newer one.");
  }
}

window.addEventListener("online", askTheTime);
window.addEventListener("hashchange", () => location.reload());
main();
