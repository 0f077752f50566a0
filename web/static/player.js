// The player: the browser's own audio element, two lanes drawn from peaks made beforehand, and keys.
// The sound comes by range from the panel; nothing of it is kept.

import WaveSurfer from "./vendor/wavesurfer-8.0.1.esm.js";
import { readPeaks } from "./peaks.js";
import { Leave } from "./leave.js";
import { whyBroken } from "./broken.js";

const STEP = 5;

const root = document.getElementById("player");
const audio = document.getElementById("audio");
const seek = document.getElementById("seek");
const toggle = document.getElementById("toggle");
const say = (name) => root.dataset[`say${name}`];
const goOn = document.getElementById("go-on");
const again = document.getElementById("again");
const duration = Number(root.dataset.duration) / 1000;

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function trouble(text) {
  document.getElementById("what").textContent = text ?? "";
  document.getElementById("trouble").hidden = !text;
}

// The text comes into a live region that was there before, so that it is read out.
function warn(text) {
  document.getElementById("soon").textContent = text ?? "";
  document.getElementById("warning").classList.toggle("notice", Boolean(text));
  goOn.hidden = !text;
}

function goTo(seconds) {
  if (leave.over) return;
  audio.currentTime = Math.min(Math.max(seconds, 0), duration);
  showPlace();
}

function playOrPause() {
  if (!audio.paused) return audio.pause();
  if (!leave.allows()) return again.focus();
  trouble(null);
  if (audio.error) reload();
  // A play that cannot start is told by the element's error event.
  return audio.play().catch(() => {});
}

// The stretches that were played since the sound was loaded, in milliseconds: the browser keeps them.
function played() {
  const parts = [];
  for (let n = 0; n < Math.min(audio.played.length, 150); n++) {
    parts.push([audio.played.start(n), audio.played.end(n)].map((at) => Math.round(at * 1000)).join("-"));
  }
  return parts.join(",");
}

function reload() {
  const at = audio.currentTime;
  leave.tell(played());
  audio.load();
  audio.currentTime = at;
}

function showPlace() {
  const now = clock(audio.currentTime);
  document.getElementById("now").textContent = now;
  if (document.activeElement !== seek || !seek.matches(":active")) seek.value = audio.currentTime;
  seek.setAttribute("aria-valuetext", say("Place").replace("{now}", now).replace("{all}", clock(duration)));
}

function showPlaying() {
  const playing = !audio.paused && !audio.ended;
  root.classList.toggle("is-playing", playing);
  toggle.setAttribute("aria-label", say(playing ? "Pause" : "Play"));
}

// Styles set one by one by a script are allowed by the content policy; a style attribute in a page is not.
function placeMarks() {
  const percent = (ms) => `${Math.min(100, (Number(ms) / 10) / duration)}%`;
  for (const gap of root.querySelectorAll(".gap")) {
    gap.style.left = percent(gap.dataset.from);
    gap.style.width = percent(gap.dataset.to - gap.dataset.from);
  }
  for (const mark of root.querySelectorAll(".announcement-end")) {
    mark.style.left = percent(mark.dataset.at);
    mark.classList.toggle("is-late", Number(mark.dataset.at) / 1000 > duration / 2);
  }
}

function colours() {
  const of = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  // What is not played yet is paler, and still 3 : 1 on the sheet (WCAG 1.4.11).
  const lane = (colour) => ({ waveColor: `color-mix(in srgb, ${colour} 68%, ${of("--sheet")})`, progressColor: colour });
  const height = parseFloat(getComputedStyle(document.getElementById("wave")).getPropertyValue("--lane")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  return {
    cursorColor: of("--ink"),
    splitChannels: [lane(of("--one")), lane(of("--two"))].map((one) => ({ ...one, height })),
  };
}

async function draw() {
  const answer = await fetch(root.dataset.peaks, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`peaks: ${answer.status}`);
  const peaks = readPeaks(await answer.json());
  const wave = WaveSurfer.create({
    container: document.getElementById("wave"),
    cspNonce: root.dataset.nonce,
    media: audio,
    peaks,
    duration,
    url: audio.currentSrc || audio.querySelector("source").src,
    cursorWidth: 2,
    barWidth: 2,
    barGap: 1,
    barRadius: 2,
    dragToSeek: true,
    hideScrollbar: true,
    ...colours(),
  });
  // Where listening goes on, it may have been placed before there was anything to draw.
  wave.once("ready", () => audio.currentTime && wave.setTime(audio.currentTime));
  for (const change of ["(prefers-color-scheme: dark)", "(max-width: 40rem)"]) {
    matchMedia(change).addEventListener("change", () => wave.setOptions(colours()));
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input:not(#seek), textarea")) return;
  const onButton = event.target.closest("button, a") !== null;
  const keys = {
    " ": onButton ? null : playOrPause,
    ArrowLeft: () => goTo(audio.currentTime - STEP),
    ArrowRight: () => goTo(audio.currentTime + STEP),
    Home: () => goTo(0),
    End: () => goTo(duration),
  };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function listen() {
  toggle.addEventListener("click", playOrPause);
  document.getElementById("back").addEventListener("click", () => goTo(audio.currentTime - STEP));
  document.getElementById("forward").addEventListener("click", () => goTo(audio.currentTime + STEP));
  document.getElementById("speed").addEventListener("change", (event) => (audio.playbackRate = Number(event.target.value)));
  seek.addEventListener("input", () => goTo(Number(seek.value)));
  for (const button of document.querySelectorAll(".jump")) {
    button.addEventListener("click", () => goTo(Number(button.dataset.jump) / 1000));
  }
  document.addEventListener("keydown", onKey);
  goOn.addEventListener("click", async () => {
    if (await leave.renew()) toggle.focus();
    else if (!leave.over && document.getElementById("trouble").hidden) trouble(say("Away"));
  });
  audio.addEventListener("play", () => leave.look());
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showPlaying);
  for (const name of ["pause", "ended"]) audio.addEventListener(name, () => leave.over || leave.tell(played()));
  for (const name of ["timeupdate", "seeking", "loadedmetadata"]) audio.addEventListener(name, showPlace);
}

async function explain() {
  showPlaying();
  const known = await whyBroken(audio, duration).catch(() => null);
  if (leave.over) return;
  if (known?.error?.startsWith("access.")) leave.end(known.message);
  else trouble(known === null ? say("Broken") : (known.message ?? say("Silent")));
}

// Nothing may play any more, not even what has arrived already. Whoever chooses again goes on at this place.
function stop(message) {
  const at = audio.currentTime;
  audio.pause();
  leave.tell(played());
  for (const source of audio.querySelectorAll("source")) source.remove();
  audio.removeAttribute("src");
  audio.load(); // drops a "pause" that was not told yet
  showPlaying();
  audio.currentTime = at; // still shown
  showPlace();
  warn(null);
  sessionStorage.setItem(again.href, at);
  again.textContent = say("Again").replace("{now}", clock(at));
  again.hidden = false;
  trouble(message ?? say("Over"));
}

function takePlace() {
  const at = Number(sessionStorage.getItem(again.href));
  sessionStorage.removeItem(again.href);
  if (at) goTo(at);
}

let slowed = false;
const leave = new Leave(root.dataset, {
  playing: () => !audio.paused,
  soon: () => warn(say("Soon").replace("{time}", document.getElementById("until").textContent)),
  renewed: (words) => {
    if (slowed) trouble(null);
    slowed = false;
    document.getElementById("until").textContent = words;
    warn(null);
  },
  later: (message) => {
    slowed = true;
    trouble(message);
  },
  over: stop,
});

for (const id of ["seek", "controls"]) document.getElementById(id).hidden = false;
audio.controls = false;
root.classList.add("is-ready");
placeMarks();
listen();
takePlace();
showPlace();
leave.watch();
audio.addEventListener("error", explain);
// With several sources the last one that cannot be used tells it, not the element.
audio.querySelector("source:last-of-type").addEventListener("error", explain);
addEventListener("pagehide", () => leave.close(played()));
if (root.dataset.peaks) draw().catch((error) => console.warn("no waveform:", error.message));
