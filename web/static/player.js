// The player: the browser's audio element, a waveform in two lanes drawn from precomputed peaks, and keys.
// The audio is requested from the panel by range and never cached.

import WaveSurfer from "./vendor/wavesurfer-8.0.1.esm.js";
import { readPeaks } from "./peaks.js";
import { Grant } from "./grant.js";
import { findRefusal } from "./playback_error.js";

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

// The live region exists before its text changes, so that screen readers announce it.
function warn(text) {
  document.getElementById("soon").textContent = text ?? "";
  document.getElementById("warning").classList.toggle("notice", Boolean(text));
  goOn.hidden = !text;
}

function goTo(seconds) {
  if (grant.over) return;
  audio.currentTime = Math.min(Math.max(seconds, 0), duration);
  showPlace();
}

function playOrPause() {
  if (!audio.paused) return audio.pause();
  if (!grant.allows()) return again.focus();
  trouble(null);
  if (audio.error) reload();
  // If playback cannot start, the element's error event reports it.
  return audio.play().catch(() => {});
}

// The ranges played since the audio was loaded, in ms, as the browser tracks them.
function played() {
  const parts = [];
  for (let n = 0; n < Math.min(audio.played.length, 150); n++) {
    parts.push([audio.played.start(n), audio.played.end(n)].map((at) => Math.round(at * 1000)).join("-"));
  }
  return parts.join(",");
}

function reload() {
  const at = audio.currentTime;
  grant.report(played());
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

// The Content-Security-Policy allows styles set by scripts, but no style attributes in the page.
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
  // The part not played yet is paler, still with a contrast of 3:1 (WCAG 1.4.11).
  const lane = (colour) => ({ waveColor: `color-mix(in srgb, ${colour} 68%, ${of("--sheet")})`, progressColor: colour });
  const height = parseFloat(getComputedStyle(document.getElementById("wave")).getPropertyValue("--lane")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  return {
    cursorColor: of("--ink"),
    splitChannels: [lane(of("--one")), lane(of("--two"))].map((one) => ({ ...one, height })),
  };
}

async function draw() {
  const response = await fetch(root.dataset.peaks, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`peaks: ${response.status}`);
  const peaks = readPeaks(await response.json());
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
  // When listening resumes, the position may have been set before the waveform was ready.
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
    if (await grant.renew()) toggle.focus();
    else if (!grant.over && document.getElementById("trouble").hidden) trouble(say("Away"));
  });
  audio.addEventListener("play", () => grant.check());
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showPlaying);
  for (const name of ["pause", "ended"]) audio.addEventListener(name, () => grant.over || grant.report(played()));
  for (const name of ["timeupdate", "seeking", "loadedmetadata"]) audio.addEventListener(name, showPlace);
}

async function explain() {
  showPlaying();
  const refusal = await findRefusal(audio, duration).catch(() => null);
  if (grant.over) return;
  if (refusal?.error?.startsWith("access.")) grant.end(refusal.message);
  else trouble(refusal === null ? say("Broken") : (refusal.message ?? say("Silent")));
}

// Stop playback for good, even of buffered audio. After choosing a purpose again, it resumes at this position.
function stop(message) {
  const at = audio.currentTime;
  audio.pause();
  grant.report(played());
  for (const source of audio.querySelectorAll("source")) source.remove();
  audio.removeAttribute("src");
  audio.load(); // drops a pending "pause" event
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

let slowed = false; // whether the last renewal was rate-limited
const grant = new Grant(root.dataset, {
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
grant.watch();
audio.addEventListener("error", explain);
// With several sources, the error event of the last one fires instead of the element's.
audio.querySelector("source:last-of-type").addEventListener("error", explain);
addEventListener("pagehide", () => grant.close(played()));
if (root.dataset.peaks) draw().catch((error) => console.warn("no waveform:", error.message));
