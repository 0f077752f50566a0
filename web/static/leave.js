// The leave to listen lasts a quarter of an hour and is asked for again while the player plays. How much
// is left is measured from when the panel said it: the clock of this machine may be wrong.

const EARLY = 5 * 60 * 1000; // with less than this left: ask again, or warn where nothing plays
const LOOK = 15 * 1000;

export class Leave {
  // `on`: `playing()` asks; `soon()`, `renewed(words)`, `later(message)` and `over(message)` are told.
  constructor({ renew, close, played, left, play, csrf }, on) {
    Object.assign(this, { renewAt: renew, closeAt: close, playedAt: played, play, csrf, on });
    this.over = false;
    this.lengthens = true; // not once the purpose itself ends sooner
    this.lasts(performance.now(), left);
  }

  lasts(since, seconds) {
    this.until = since + Number(seconds) * 1000;
  }

  watch() {
    this.timer = setInterval(() => this.look(), LOOK);
  }

  // Whether one may listen now.
  allows() {
    if (!this.over && this.until <= performance.now()) this.end(null);
    return !this.over;
  }

  look() {
    if (!this.allows() || !this.lengthens || this.until - performance.now() > EARLY) return;
    if (this.on.playing()) this.renew();
    else this.on.soon();
  }

  // One question at a time; true where the leave lasts longer now.
  renew() {
    this.asking ??= this.ask().finally(() => (this.asking = null));
    return this.asking;
  }

  async ask() {
    const asked = performance.now();
    let answer;
    try {
      answer = await fetch(this.renewAt, {
        method: "POST",
        headers: { "X-CSRFToken": this.csrf, Accept: "application/json" },
        signal: AbortSignal.timeout(LOOK),
      });
    } catch {
      return false; // away for a moment: the next look tries again
    }
    const said = await saidBy(answer);
    if (this.over || said === null || answer.status >= 500) return false;
    if (answer.status === 429) {
      this.on.later(said.message); // the next look tries again
      return false;
    }
    if (!answer.ok) {
      this.end(said.message);
      return false;
    }
    this.lasts(asked, said.left);
    this.lengthens = said.left * 1000 > EARLY;
    this.on.renewed(said.until_words);
    return true;
  }

  end(message) {
    clearInterval(this.timer);
    this.over = true;
    this.on.over(message);
  }

  // What has been played so far, for the panel to write down as this page's word.
  tell(played) {
    if (played) this.send(this.playedAt, played);
  }

  // The page goes away: the panel writes down that listening has ended, and what was played.
  close(played) {
    this.send(this.closeAt, played);
  }

  send(address, played) {
    const form = new FormData();
    form.append("csrf_token", this.csrf);
    form.append("play", this.play);
    if (played) form.append("played", played);
    navigator.sendBeacon(address, form);
  }
}

// What an answer says; null where it is not the panel's JSON (a page, or something in between that answers).
export async function saidBy(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}
