// The room: everybody in it hears the same moment at the same time. The server has the room's state, and tells
// of each change by a stream of events; commands are sent by forms. This page follows.

import { Grant, readJson } from "./grant.js";
import { RoomClock } from "./room_clock.js";
import { RoomLanes } from "./room_lanes.js";
import { RoomNotes } from "./room_notes.js";
import { RoomPlayer } from "./room_player.js";

const PRESENCE = 10_000; // ms between two reports that somebody is here
const REPORTS = 30_000; // ms between two reports of what was heard
const BARRIER = 5000; // ms that the first start waits for those whose sound is not there yet
const STEP = 10; // s
const ATTEMPTS = 5; // to send a command
const PAUSE = 1000; // ms between two of them
const LOST = 3000; // ms without the stream, after which the page says so

const root = document.getElementById("room");
const audio = document.getElementById("room-audio");
const place = document.getElementById("room-place");
const say = (name) => root.dataset[`say${name}`];
const durations = JSON.parse(root.dataset.durations);
const clock = new RoomClock(root.dataset.clock);

let room = null;
let members = [];
let leader = "";
let grant = null;
let heard = null; // the recording whose sound is loaded
let isReady = false;
let hasStarted = false;
let lost = null;
let stream = null;
let player = null;
let notes = null;
let lanes = null;

const isLeader = () => leader === root.dataset.me;
const mayCommand = () => leader === "" || isLeader();
const nameOf = (id) => members.find((each) => each.id === id)?.name ?? "";
const duration = () => (durations[room.recording] ?? 0) / 1000;

function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function tell(text) {
  document.getElementById("room-message").textContent = text ?? "";
}

function trouble(text) {
  const box = document.getElementById("room-trouble");
  box.hidden = !text;
  box.textContent = text ?? "";
}

function send(address, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return fetch(address, {
    method: "POST",
    body: form,
    headers: { Accept: "application/json", "X-CSRFToken": root.dataset.csrf },
    signal: AbortSignal.timeout(10_000),
  });
}

// Send a command, again where no answer came: it counts once, because it names the state that it follows.
async function sendCommand(fields) {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await send(root.dataset.command, fields);
      const body = await readJson(response);
      if (body !== null) return body;
    } catch {
      // the panel, or the way to it, is away
    }
    if (attempt === ATTEMPTS) return null;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

// Carry out a command. If another one came first, the answer has the room as it is now: the lead is then taken
// all the same; others are not sent again. A pause is never too late.
async function command(action, fields = {}, again = true) {
  if (room === null) return;
  const body = await sendCommand({ action, seq: room.seq, ...fields });
  if (body === null) return tell(say("Away"));
  if (body.seq !== undefined) receive(body);
  if (body.error === "room.outdated" && action === "lead" && again) await command(action, fields, false);
  else if (body.error === "room.led") tell(say("Led").replace("{name}", nameOf(leader)));
  else if (body.error || body.message) tell(body.message ?? say("Again"));
}

function receive(state) {
  if (room !== null && state.seq < room.seq) return; // an older word of another connection
  room = state;
  members = state.members;
  leader = state.leader;
  trouble(null);
  notes?.follow(state.version);
  if (room.playing) hasStarted = true;
  show();
  if (player === null) return;
  if (heard !== room.recording) load();
  else player.follow(room);
}

async function load() {
  heard = room.recording;
  isReady = false;
  grant?.close(played());
  grant?.retire();
  audio.removeAttribute("src");
  let body = null;
  try {
    const response = await send(root.dataset.listen, { recording: heard });
    body = await readJson(response);
    if (!response.ok) throw new Error(body?.message ?? say("Away"));
  } catch (error) {
    heard = null; // the next event tries again
    trouble(error.message || say("Away"));
    return;
  }
  const sounds = body.sounds.filter(({ type }) => audio.canPlayType(type));
  if (!sounds.length) return trouble(say("Unsupported"));
  watch(body);
  lanes?.show(body, duration());
  showMoments(body.moments);
  showPassages();
  let next = 0;
  audio.onerror = () => {
    next += 1;
    if (next < sounds.length) audio.src = sounds[next].src;
    else refused();
  };
  audio.src = sounds[0].src;
  audio.preload = "auto";
  player.follow(room);
}

// The sound broke off: the answer to a request for it says why.
async function refused() {
  try {
    const response = await fetch(audio.currentSrc, { headers: { Accept: "application/json", Range: "bytes=0-0" } });
    const body = await readJson(response);
    if (!response.ok) return trouble(body?.message ?? say("Away"));
  } catch {
    // said below
  }
  trouble(say("Away"));
  setTimeout(() => {
    heard = null;
    if (room !== null) receive(room);
  }, 2000);
}

function watch(given) {
  grant = new Grant(
    { ...given, csrf: root.dataset.csrf },
    {
      playing: () => true, // being in the room counts: the others may go on at any moment
      soon: () => {},
      renewed: () => {},
      later: tell,
      over: (message) => trouble(message ?? say("Over")),
    },
  );
  grant.watch();
}

function played() {
  const parts = [];
  for (let n = 0; n < Math.min(audio.played.length, 150); n++) {
    parts.push([audio.played.start(n), audio.played.end(n)].map((at) => Math.round(at * 1000)).join("-"));
  }
  return parts.join(",");
}

function report() {
  if (grant !== null && !grant.over) grant.report(played());
}

async function reportPresence() {
  try {
    await send(root.dataset.presence, isReady ? { ready: "yes" } : {});
  } catch {
    // the next one tells
  }
}

function setReady(ready) {
  if (ready === isReady) return;
  isReady = ready;
  reportPresence();
}

// --- what is shown

function show() {
  const may = mayCommand();
  root.classList.toggle("is-playing", room.playing);
  root.classList.toggle("is-leading", may);
  const toggle = document.getElementById("room-toggle");
  toggle.setAttribute("aria-label", say(room.playing ? "Pause" : "Play"));
  for (const each of root.querySelectorAll("[data-command]")) each.disabled = !may;
  for (const each of root.querySelectorAll("#room-moments button")) each.disabled = !may;
  if (room.playing) toggle.disabled = false; // anybody pauses
  place.disabled = !may;
  place.max = duration();
  const speed = document.getElementById("room-speed");
  speed.value = String(room.rate);
  if (members.some((each) => each.by_telephone)) speed.disabled = true; // a telephone conference has one speed
  const choice = document.getElementById("room-recording");
  if (choice !== null) choice.value = room.recording;
  showMembers();
  document.getElementById("room-leader").textContent = isLeader()
    ? say("YouLead")
    : leader === ""
      ? say("NobodyLeads")
      : say("Leads").replace("{name}", nameOf(leader));
  document.getElementById("room-take").hidden = isLeader();
}

function showMembers() {
  const list = document.getElementById("room-members");
  const entries = members.map((each) => {
    const entry = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = each.id === root.dataset.me ? say("You").replace("{name}", each.name) : each.name;
    entry.append(name);
    for (const what of [each.by_telephone && "ByTelephone", !each.ready && "Behind"].filter(Boolean)) {
      const state = document.createElement("span");
      state.className = "muted";
      state.textContent = ` ${say(what)}`;
      entry.append(state);
    }
    if (isLeader() && each.id !== root.dataset.me) {
      const give = document.createElement("button");
      give.type = "button";
      give.className = "button is-small";
      give.textContent = say("Give").replace("{name}", each.name);
      give.addEventListener("click", () => command("lead", { to: each.id }));
      entry.append(" ", give);
    }
    return entry;
  });
  const focused = document.activeElement?.textContent;
  list.replaceChildren(...entries);
  if (list.contains(document.activeElement)) return;
  for (const button of list.querySelectorAll("button")) if (button.textContent === focused) button.focus();
}

// Where it was announced, asked and answered: everybody hears it from there.
function showMoments(moments) {
  const list = document.getElementById("room-moments");
  if (list === null) return;
  list.replaceChildren(
    ...moments.map(({ name, begin }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button is-small";
      button.textContent = `${name} ${clockText(begin / 1000)}`;
      button.disabled = !mayCommand();
      button.addEventListener("click", () => command("play", { position: begin }));
      const entry = document.createElement("li");
      entry.append(button);
      return entry;
    }),
  );
}

// The passages of the recording that is heard.
function showPassages() {
  const found = [...document.querySelectorAll("#notes [data-play]")].filter(
    (each) => each.dataset.recording === room?.recording,
  );
  lanes?.setPassages(found.map((each) => ({ begin: Number(each.dataset.play), end: Number(each.dataset.until) })));
}

function showPlace() {
  if (room === null || !clock.samples.length) return;
  const at = Math.min(player === null ? room.position / 1000 : player.placeIn(room, clock.now()), duration());
  if (!place.matches(":active")) place.value = at;
  const text = say("Place").replace("{now}", clockText(at)).replace("{all}", clockText(duration()));
  place.setAttribute("aria-valuetext", text);
  document.getElementById("room-now").textContent = clockText(at);
  lanes?.showPlace(at);
  document.getElementById("room-all").textContent = clockText(duration());
}

// --- commands

async function playOrPause() {
  if (room.playing) return command("pause");
  await waitForOthers();
  return command("play");
}

// At the first start, wait a moment for those whose sound is not there yet; later they catch up.
async function waitForOthers() {
  if (hasStarted) return;
  const until = performance.now() + BARRIER;
  while (members.some((each) => !each.ready) && performance.now() < until) {
    const names = members.filter((each) => !each.ready).map((each) => each.name);
    tell(say("WaitsFor").replace("{names}", names.join(", ")));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  tell(null);
}

function goTo(seconds) {
  command("seek", { position: Math.round(Math.min(Math.max(0, seconds), duration()) * 1000) });
}

const here = () => player.placeIn(room, clock.now());

function listen() {
  document.getElementById("room-toggle").addEventListener("click", playOrPause);
  document.getElementById("room-back").addEventListener("click", () => goTo(here() - STEP));
  document.getElementById("room-forward").addEventListener("click", () => goTo(here() + STEP));
  document.getElementById("room-take").addEventListener("click", () => command("lead"));
  place.addEventListener("change", () => goTo(Number(place.value)));
  document.getElementById("room-speed").addEventListener("change", (event) => command("rate", { rate: event.target.value }));
  document.getElementById("room-recording")?.addEventListener("change", (event) => command("choose", { recording: event.target.value }));
  const shift = document.getElementById("room-shift");
  shift.value = remembered("accord-room-shift") ?? "0";
  shift.addEventListener("input", () => {
    player.shift = Number(shift.value) / 1000;
    remember("accord-room-shift", shift.value);
    showShift();
  });
  player.shift = Number(shift.value) / 1000;
  showShift();
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) clock.ping();
  });
  for (const name of ["pause", "ended"]) audio.addEventListener(name, report);
  if ("mediaSession" in navigator) {
    navigator.mediaSession.setActionHandler("play", () => mayCommand() && command("play"));
    navigator.mediaSession.setActionHandler("pause", () => command("pause"));
  }
}

// Go to a passage: of another recording, once that is chosen.
async function goToPassage(recording, begin) {
  if (room.recording !== recording) await command("choose", { recording });
  if (room.recording === recording) await command("play", { position: begin });
}

function showShift() {
  const shift = document.getElementById("room-shift");
  const text = say("Shift").replace("{ms}", shift.value);
  shift.setAttribute("aria-valuetext", text);
  document.getElementById("room-shift-value").textContent = text;
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // nothing depends on it
  }
}

function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function leave() {
  grant?.close(played());
  const form = new FormData();
  form.append("csrf_token", root.dataset.csrf);
  form.append("leaves", "yes");
  navigator.sendBeacon(root.dataset.presence, form);
}

// --- the stream

function follow() {
  stream = new EventSource(root.dataset.events);
  stream.addEventListener("room", (event) => {
    clearTimeout(lost);
    lost = null;
    receive(JSON.parse(event.data));
  });
  stream.addEventListener("ended", () => {
    end(say("Ended"));
  });
  stream.addEventListener("error", () => {
    lost ??= setTimeout(() => trouble(say("Lost")), LOST);
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 2000); // refused, or the panel restarts
  });
}

function end(text) {
  stream?.close();
  player?.stop();
  clock.stop();
  grant?.retire();
  audio.removeAttribute("src");
  root.classList.add("is-over");
  trouble(text);
}

// Browsers play sound only after somebody has pressed a button on the page.
async function enter() {
  document.getElementById("room-enter").hidden = true;
  document.getElementById("room-stage").hidden = false;
  tell(say("Entering"));
  audio.muted = true;
  audio.play().catch(() => {});
  audio.pause();
  audio.muted = false;
  if (!(await clock.start())) return end(say("Away"));
  player = new RoomPlayer(audio, clock, {
    waiting: (is) => {
      if (is) setReady(false);
      else setReady(true);
    },
    ready: () => setReady(true),
  });
  player.start();
  const part = document.getElementById("notes");
  if (part) {
    lanes = new RoomLanes(root, { goTo: (seconds) => mayCommand() && goTo(seconds) });
    notes = new RoomNotes(part, root.dataset.csrf, {
      play: goToPassage,
      place: here,
      trouble: () => tell(say("Away")),
      shown: showPassages,
    });
  }
  listen();
  follow();
  reportPresence();
  setInterval(reportPresence, PRESENCE);
  setInterval(report, REPORTS);
  setInterval(showPlace, 200);
  tell(null);
  document.getElementById("room-toggle").focus();
}

const entrance = document.getElementById("room-enter-button");
entrance.addEventListener("click", enter);
entrance.disabled = false; // a press before this script was there would do nothing
