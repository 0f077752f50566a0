// The player of the call page: the browser's audio element, a waveform in two lanes drawn from precomputed
// peaks, and keys. Nothing is requested before somebody presses Play: that asks the gate for a grant. The audio
// is then requested from the panel by range and never cached.

import WaveSurfer from "./vendor/wavesurfer-8.0.1.esm.js";
import { findSilences, readPeaks } from "./peaks.js";
import { Grant, readJson } from "./grant.js";
import { findRefusal } from "./playback_error.js";
import { followTimeline } from "./timeline.js";

const STEP = 10;
const BEFORE_SPEECH = 0.2; // seconds of a silence that are played, so that no word is cut

const root = document.getElementById("player");
const form = document.getElementById("listen-form");
const audio = document.getElementById("audio");
const seek = document.getElementById("seek");
const speed = document.getElementById("speed");
const skipSilence = document.getElementById("skip-silence");
const toggle = document.getElementById("toggle");
const chip = document.getElementById("purpose");
const goOn = document.getElementById("go-on");
const again = document.getElementById("again");
const loop = document.getElementById("loop");
const say = (name) => root.dataset[`say${name}`];
const duration = Number(root.dataset.duration) / 1000;
const announcementEnd = Number(root.dataset.announcementEnd) / 1000;
const placeKey = `accord-place ${root.dataset.page}`;

let grant = null; // the grant that is valid, or ended last
let place = 0; // seconds; the audio element's while it has audio
let asking = null; // the request for a grant that is under way
let peaks = null;
let wave = null;
let silences = [];
let passage = { from: null, to: null }; // seconds, of the passage that repeats

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

function tell(text) {
  document.getElementById("player-message").textContent = text;
}

const hasSound = () => grant !== null && !grant.over;

function goTo(seconds) {
  place = Math.min(Math.max(seconds, 0), duration);
  if (hasSound()) audio.currentTime = place;
  showPlace();
}

async function playOrPause() {
  if (!audio.paused) return audio.pause();
  if (grant !== null) grant.allows(); // ends it if its time is over
  if (!hasSound() && !(await ask())) return;
  trouble(null);
  if (audio.error) reload();
  // If playback cannot start, the element's error event reports it.
  await audio.play().catch(() => {});
}

// Ask the gate for a grant; resolves to whether there is one. One request at a time.
function ask() {
  asking ??= sendRequest().finally(() => (asking = null));
  return asking;
}

async function sendRequest() {
  if (form.querySelector("[name=purpose]:checked") === null) {
    chip.open = true;
    trouble(say("Choose"));
    form.querySelector("[name=purpose]:enabled").focus();
    return false;
  }
  let response;
  try {
    response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
  } catch {
    trouble(say("Away"));
    return false;
  }
  const body = await readJson(response);
  if (!response.ok || body === null) {
    trouble(body?.message ?? say("Away"));
    if (response.status === 401) offerReturn();
    return false;
  }
  return receive(body);
}

// Begin to use a grant: `left`, `renew`, `close`, `report`, `play`, and the addresses of sounds and peaks.
function receive(given) {
  const playable = given.sounds.find(({ type }) => audio.canPlayType(type));
  if (playable === undefined) {
    trouble(say("Unsupported"));
    return false;
  }
  trouble(null);
  again.hidden = true;
  chip.open = false;
  form.querySelector("#granted").hidden = false;
  form.querySelector("#change-purpose").hidden = false;
  form.querySelector("#until").textContent = given.until;
  audio.src = playable.src;
  audio.preload = "metadata";
  audio.currentTime = place;
  audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
  watch(given);
  if (given.peaks) audio.addEventListener("loadedmetadata", () => draw(given.peaks), { once: true });
  return true;
}

let slowed = false; // whether the last renewal was rate-limited

function watch(given) {
  grant = new Grant(
    { ...given, csrf: root.dataset.csrf },
    {
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
    },
  );
  grant.watch();
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
  grant.report(played());
  audio.load();
  audio.currentTime = place;
}

function showPlace() {
  const now = clock(place);
  document.getElementById("now").textContent = now;
  if (document.activeElement !== seek || !seek.matches(":active")) seek.value = place;
  seek.setAttribute("aria-valuetext", say("Place").replace("{now}", now).replace("{all}", clock(duration)));
  document.getElementById("skip-announcement").disabled = place >= announcementEnd;
  follow(place * 1000);
}

function showPlaying() {
  const playing = !audio.paused && !audio.ended;
  root.classList.toggle("is-playing", playing);
  toggle.setAttribute("aria-label", say(playing ? "Pause" : "Play"));
}

// As the audio goes on: the end of a repeated passage, and silences that are skipped.
function advance() {
  if (!hasSound()) return;
  place = audio.currentTime;
  if (passage.to !== null && place >= passage.to && !audio.seeking) return goTo(passage.from);
  if (skipSilence.checked && !audio.paused && !audio.seeking) {
    const silence = silences.find(({ from, to }) => place >= from && place < to - BEFORE_SPEECH);
    if (silence !== undefined) return goTo(silence.to - BEFORE_SPEECH);
  }
  showPlace();
}

// First the beginning, then the end of a passage; then it stops repeating.
function setLoop() {
  if (passage.to !== null) passage = { from: null, to: null };
  else if (passage.from === null) passage.from = place;
  else if (place > passage.from + 0.5) passage.to = place;
  const next = passage.to !== null ? "LoopStop" : passage.from !== null ? "LoopEnd" : "Loop";
  loop.setAttribute("aria-label", say(next));
  loop.title = say(next);
  loop.setAttribute("aria-pressed", String(passage.to !== null));
  const shown = document.getElementById("passage");
  shown.hidden = passage.from === null;
  placeStretch(shown, (passage.from ?? 0) * 1000, (passage.to ?? duration) * 1000);
  tell(passage.from === null ? "" : `${clock(passage.from)} – ${passage.to === null ? "…" : clock(passage.to)}`);
}

// A note about this moment; only where the page offers notes.
function noteHere() {
  const at = document.getElementById("note-place");
  if (at === null) return;
  at.value = clock(place);
  document.getElementById("note").focus();
}

async function copyLink() {
  const link = new URL(root.dataset.page, location.href);
  link.hash = `t=${Math.floor(place)}`;
  try {
    await navigator.clipboard.writeText(link.href);
    tell(say("Copied"));
  } catch {
    tell(say("Link").replace("{link}", link.href));
  }
}

// The moment in an address: #t=83 or #t=1:23.
function linkedPlace() {
  const found = /^#t=(?:(\d{1,4}):)?(\d{1,5})$/.exec(location.hash);
  return found === null ? null : Number(found[1] ?? 0) * 60 + Number(found[2]);
}

// The Content-Security-Policy allows styles set by scripts, but no style attributes in the page.
const percent = (ms) => `${Math.min(100, (Number(ms) / 10) / duration)}%`;

// What the telephone system could not write may end later than the sound: it is shown up to there.
function placeStretch(element, from, to) {
  const [begin, end] = [from, to].map((ms) => Math.min(Number(ms), duration * 1000));
  element.style.left = percent(begin);
  element.style.width = percent(end - begin);
}

function placeMarks() {
  for (const gap of root.querySelectorAll(".gap")) placeStretch(gap, gap.dataset.from, gap.dataset.to);
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

async function draw(address) {
  try {
    peaks ??= await fetchPeaks(address);
  } catch (error) {
    console.warn("no waveform:", error.message);
    return;
  }
  wave?.destroy();
  root.classList.add("is-drawn");
  wave = WaveSurfer.create({
    container: document.getElementById("wave"),
    cspNonce: root.dataset.nonce,
    media: audio,
    peaks,
    duration,
    url: audio.currentSrc,
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
}

async function fetchPeaks(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`peaks: ${response.status}`);
  const found = await response.json();
  silences = findSilences(found);
  return readPeaks(found);
}

function changeSpeed(by) {
  const chosen = speed.selectedIndex + by;
  if (chosen < 0 || chosen >= speed.options.length) return;
  speed.selectedIndex = chosen;
  setSpeed();
}

function setSpeed() {
  audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
  remember("accord-speed", speed.value);
}

// Storage may be switched off; then nothing is remembered.
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

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (target.matches("select, input:not(#seek), textarea")) return;
  const inPlayer = root.contains(target);
  // Elsewhere the keys are those of what has the focus; letters work in the player only (WCAG 2.1.4).
  if (!inPlayer && target !== document.body && !target.matches("#main, .jump")) return;
  const onButton = target.closest("button, a, summary") !== null;
  const keys = {
    " ": onButton ? null : playOrPause,
    ArrowLeft: () => goTo(place - STEP),
    ArrowRight: () => goTo(place + STEP),
    Home: () => goTo(0),
    End: () => goTo(duration),
  };
  const letters = {
    a: () => goTo(announcementEnd),
    r: setLoop,
    l: copyLink,
    s: () => skipSilence.click(),
    n: noteHere,
    "<": () => changeSpeed(-1),
    ">": () => changeSpeed(1),
  };
  const act = keys[event.key] ?? (inPlayer ? letters[event.key.toLowerCase()] : undefined);
  if (!act) return;
  event.preventDefault();
  act();
}

function listen() {
  toggle.addEventListener("click", (event) => {
    event.preventDefault();
    playOrPause();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose();
  });
  for (const button of form.querySelectorAll(".choice-play")) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      const radio = button.closest(".choice").querySelector("[name=purpose]");
      radio.checked = true;
      radio.dispatchEvent(new Event("change"));
      choose();
    });
  }
  for (const radio of form.querySelectorAll("[name=purpose]")) {
    radio.addEventListener("change", () => (document.getElementById("purpose-chip").textContent = radio.dataset.label));
  }
  document.getElementById("back").addEventListener("click", () => goTo(place - STEP));
  document.getElementById("forward").addEventListener("click", () => goTo(place + STEP));
  document.getElementById("skip-announcement").addEventListener("click", () => goTo(announcementEnd));
  speed.addEventListener("change", setSpeed);
  skipSilence.addEventListener("change", () => remember("accord-skip-silence", skipSilence.checked ? "yes" : ""));
  loop.addEventListener("click", setLoop);
  document.getElementById("link").addEventListener("click", copyLink);
  seek.addEventListener("input", () => goTo(Number(seek.value)));
  document.getElementById("wave").addEventListener("click", (event) => {
    if (wave !== null && hasSound()) return; // the waveform seeks by itself
    const box = event.currentTarget.getBoundingClientRect();
    goTo(((event.clientX - box.left) / box.width) * duration);
  });
  // The notes are replaced when one is added, and their buttons with them.
  document.addEventListener("click", ({ target }) => {
    const jump = target.closest("button.jump");
    if (jump !== null) goTo(Number(jump.dataset.jump) / 1000);
    if (target.closest("#note-here") !== null) noteHere();
  });
  document.addEventListener("accord:notes", showButtons);
  document.addEventListener("keydown", onKey);
  goOn.addEventListener("click", async () => {
    if (await grant.renew()) toggle.focus();
    else if (!grant.over && document.getElementById("trouble").hidden) trouble(say("Away"));
  });
  // A keyboard's media key can press Play, too, when nothing may be heard.
  audio.addEventListener("play", () => (hasSound() ? grant.check() : audio.pause()));
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showPlaying);
  for (const name of ["pause", "ended"]) audio.addEventListener(name, () => hasSound() && grant.report(played()));
  for (const name of ["timeupdate", "seeking", "seeked"]) audio.addEventListener(name, advance);
  audio.addEventListener("error", explain);
  addEventListener("hashchange", () => linkedPlace() !== null && goTo(linkedPlace()));
  addEventListener("pagehide", leave);
  for (const change of ["(prefers-color-scheme: dark)", "(max-width: 40rem)"]) {
    matchMedia(change).addEventListener("change", () => wave?.setOptions(colours()));
  }
}

// Another purpose: the grant for the one before ends with its listen, and Play asks for a new one.
async function choose() {
  if (hasSound()) {
    audio.pause();
    grant.close(played());
    grant.retire();
  }
  if (await ask()) await audio.play().catch(() => {});
}

async function explain() {
  if (!hasSound()) return;
  showPlaying();
  const refusal = await findRefusal(audio, duration).catch(() => null);
  if (grant.over) return;
  if (refusal?.error?.startsWith("access.")) grant.end(refusal.message);
  else trouble(refusal === null ? say("Broken") : (refusal.message ?? say("Silent")));
}

// Stop playback for good, even of buffered audio. Play asks for a new grant, and resumes at this position.
function stop(message) {
  audio.pause();
  grant.report(played());
  audio.removeAttribute("src");
  audio.load(); // drops a pending "pause" event
  showPlaying();
  showPlace();
  warn(null);
  form.querySelector("#granted").hidden = true;
  if (message) offerReturn();
  trouble(message ?? say("Over"));
}

// After a refusal the page is loaded again, which leads to the log-in if the session has ended.
function offerReturn() {
  again.textContent = say("Again").replace("{now}", clock(place));
  again.hidden = false;
}

function leave() {
  try {
    sessionStorage.setItem(placeKey, place);
  } catch {
    // the position is then not kept
  }
  if (hasSound()) grant.close(played());
}

function takePlace() {
  let kept = null;
  try {
    kept = sessionStorage.getItem(placeKey);
  } catch {
    // as above
  }
  const at = linkedPlace() ?? Number(kept);
  if (at > 0 && at < duration) goTo(at);
}

// With scripts, one source is enough: the first that this browser can play.
function takeGivenGrant() {
  // Play was pressed before this script had come. Loaded again, the page does not play by itself.
  if (audio.autoplay) history.replaceState(null, "", root.dataset.page);
  const sources = [...audio.querySelectorAll("source")];
  if (!root.dataset.renew) return;
  const sounds = sources.map(({ src, type }) => ({ src, type }));
  for (const source of sources) source.remove();
  const { left, renew, report, close, play, peaks: address } = root.dataset;
  const until = document.getElementById("until").textContent;
  receive({ left, renew, report, close, play, peaks: address, sounds, until });
}

// What needs a script is hidden without it.
function showButtons() {
  for (const hidden of document.querySelectorAll("#seek, #back, #forward, #toggle, #tools, #note-here, button.jump")) hidden.hidden = false;
}

const follow = followTimeline(document.getElementById("timeline"));
audio.controls = false;
audio.hidden = true;
showButtons();
document.getElementById("skip-announcement").hidden = !announcementEnd;
root.classList.add("is-ready");
speed.value = remembered("accord-speed") ?? "1";
if (speed.selectedIndex < 0) speed.value = "1";
skipSilence.checked = Boolean(remembered("accord-skip-silence"));
placeMarks();
listen();
takePlace();
takeGivenGrant();
showPlace();
