// Plays what the room plays: lands at the room's position, then keeps to it by small changes of speed. Seeking
// to correct a small difference would stutter; a change of speed of a few percent is not heard.

const TICK = 100; // ms
const FAR = 0.6; // s off; more is not caught up with by speed
const LAND_AGAIN = 3000; // ms between two landings
const OFF = 0.025; // s off, from which speed corrects
const ON = 0.006; // s off, at which it stops
const MOST = 0.08; // of the speed
const GAIN = 1.5;
const READY_WITHIN = 8000; // ms that a seek may take
const SAMPLES = 5;

// By how much later than its own clock an engine is heard, in seconds, beside Chromium: measured on the sound.
const ENGINES = [[/Firefox\//, -0.087]];
const CANNOT_NUDGE = /^((?!chrome|chromium|android).)*safari/i; // it drops out when the speed changes

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

export class RoomPlayer {
  // `on.waiting(is)` is called when the sound is waited for, and when it is there; `on.ready()` when the sound
  // at the room's position is there.
  constructor(audio, clock, on) {
    Object.assign(this, { audio, clock, on });
    this.room = null;
    this.shift = 0; // s that somebody wants to hear it later
    this.engine = ENGINES.find(([pattern]) => pattern.test(navigator.userAgent))?.[1] ?? 0;
    this.nudges = !CANNOT_NUDGE.test(navigator.userAgent);
    this.seekTakes = 0.35; // s, learnt
    this.startTakes = 0.05; // s, learnt
    this.errors = [];
    this.landed = -Infinity;
    this.landing = null;
    this.correcting = false;
  }

  start() {
    this.timer = setInterval(() => this.tick(), TICK);
  }

  stop() {
    clearInterval(this.timer);
    this.audio.pause();
  }

  // A new state of the room. What was valid before is followed until the new one takes effect.
  follow(room) {
    const before = this.room;
    this.room = room;
    if (before === null || before.seq === room.seq) return;
    const moved = !before.playing || !room.playing || Math.abs(this.jump(before, room)) > 0.02;
    clearTimeout(this.due);
    if (moved) this.due = setTimeout(() => this.takeEffect(), room.at - this.clock.now());
    else this.errors = [];
  }

  // How far the position moves where a new state follows an old one, in seconds.
  jump(before, room) {
    return room.position / 1000 - this.placeIn(before, room.at);
  }

  takeEffect() {
    if (this.room.playing) this.land();
    else this.rest();
  }

  placeIn(room, now) {
    const passed = room.playing ? (Math.max(0, now - room.at) / 1000) * (room.rate / 100) : 0;
    return room.position / 1000 + passed;
  }

  // Where this page's sound should be, in seconds of audio.
  target(now = this.clock.now()) {
    return Math.max(0, this.placeIn(this.room, now) + this.engine - this.shift);
  }

  get duration() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : Infinity;
  }

  tick() {
    if (this.room === null || this.landing !== null || this.audio.readyState < 1) return;
    const now = this.clock.now();
    if (now < this.room.at) return;
    if (!this.room.playing) return this.rest();
    if (this.target(now) >= this.duration) return this.audio.pause();
    if (this.audio.paused || this.audio.readyState < 3) return this.land();
    this.correct(now);
  }

  // Paused, at the room's position.
  rest() {
    if (!this.audio.paused) this.audio.pause();
    const place = Math.min(this.room.position / 1000, this.duration);
    if (!this.audio.seeking && Math.abs(this.audio.currentTime - place) > 0.02) this.audio.currentTime = place;
    if (!this.audio.seeking && this.audio.readyState >= 3) this.on.ready();
  }

  correct(now) {
    const base = this.room.rate / 100;
    this.errors = [...this.errors, this.audio.currentTime - this.target(now)].slice(-SAMPLES);
    const error = [...this.errors].sort((a, b) => a - b)[this.errors.length >> 1];
    if (Math.abs(error) > FAR) {
      if (performance.now() - this.landed > LAND_AGAIN) this.land();
      return;
    }
    if (!this.nudges) return;
    if (Math.abs(error) > OFF) this.correcting = true;
    if (Math.abs(error) < ON) this.correcting = false;
    const change = this.correcting ? Math.max(-MOST, Math.min(MOST, error * GAIN)) : 0;
    const rate = base * (1 - change);
    if (Math.abs(this.audio.playbackRate - rate) > 0.001) this.audio.playbackRate = rate;
  }

  land() {
    this.landing ??= this.sendLanding().finally(() => {
      this.landing = null;
      this.landed = performance.now();
      this.errors = [];
    });
    return this.landing;
  }

  // Seek ahead of the room, wait for the sound, and begin when the room is there.
  async sendLanding() {
    const { audio } = this;
    this.on.waiting(true);
    audio.pause();
    audio.playbackRate = audio.defaultPlaybackRate = this.room.rate / 100;
    for (let attempt = 0; attempt < 4; attempt++) {
      const seq = this.room.seq;
      const asked = this.clock.now();
      const place = Math.min(this.target(asked + this.seekTakes * 1000), this.duration);
      audio.currentTime = place;
      await this.soundAt();
      if (this.room.seq !== seq) continue; // another command came meanwhile
      if (!this.room.playing) break;
      const took = (this.clock.now() - asked) / 1000;
      const early = (place - this.target()) / (this.room.rate / 100) - this.startTakes;
      if (early < -0.05 && attempt < 3) {
        this.seekTakes = Math.min(6, Math.max(this.seekTakes * 1.3, took + this.startTakes + 0.1));
        continue;
      }
      this.seekTakes = Math.max(0.2, this.seekTakes * 0.7 + (took + this.startTakes + 0.1) * 0.3);
      await wait(early * 1000);
      if (this.room.seq !== seq || !this.room.playing) continue;
      await audio.play().catch(() => {});
      await this.learnStart();
      break;
    }
    this.on.waiting(false);
  }

  // Resolves once the sound at the place that was sought is there.
  async soundAt() {
    const { audio } = this;
    const until = performance.now() + READY_WITHIN;
    while ((audio.seeking || audio.readyState < 3) && !audio.error && performance.now() < until) await wait(20);
  }

  // How long it takes from `play()` until the sound moves, for the next landing.
  async learnStart() {
    await wait(400);
    if (this.audio.paused || this.room === null || !this.room.playing) return;
    const error = this.audio.currentTime - this.target();
    if (Math.abs(error) < FAR) this.startTakes = Math.max(-0.2, Math.min(1, this.startTakes - error * 0.7));
  }
}
