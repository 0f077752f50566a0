// The leave to listen lasts a quarter of an hour and is asked for again while the player plays.

const EARLY = 5 * 60 * 1000; // ask again when less than this is left
const LOOK = 15 * 1000;

export class Leave {
  constructor({ renew, close, until, play, csrf }, { playing, renewed, over }) {
    Object.assign(this, { renewAt: renew, closeAt: close, until: Date.parse(until), play, csrf, playing, renewed, over });
  }

  watch() {
    this.timer = setInterval(() => this.look(), LOOK);
  }

  async look() {
    const left = this.until - Date.now();
    if (left <= 0) return this.end(null);
    if (left < EARLY && this.playing()) await this.renew();
  }

  async renew() {
    let answer;
    try {
      answer = await fetch(this.renewAt, {
        method: "POST",
        headers: { "X-CSRFToken": this.csrf, Accept: "application/json" },
      });
    } catch {
      return; // away for a moment: the next look tries again
    }
    if (answer.status >= 500) return;
    const said = await answer.json();
    if (!answer.ok) return this.end(said.message);
    this.until = Date.parse(said.until);
    this.renewed(said.until_words);
  }

  end(message) {
    clearInterval(this.timer);
    this.over(message);
  }

  // The page goes away: the panel writes down that listening has ended.
  close() {
    const form = new FormData();
    form.append("csrf_token", this.csrf);
    form.append("play", this.play);
    navigator.sendBeacon(this.closeAt, form);
  }
}
